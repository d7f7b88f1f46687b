#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A model of the ring's order of loads and stores, searched exhaustively under the C11 memory model.

The threads of lib/ring/ring_write.c and ring_read.c are written down as sequences of loads, stores and fences on a ring of
SLOTS records of two words. The memory is the view machine of "promising" semantics without promises, which is RC11 where
no load is speculated: a location keeps all of its stores in order; a thread has a view, the oldest store of every
location that it may still read; a relaxed load may return any store from its view on; a release store, or a relaxed one
behind a release fence, carries the view; an acquire load, or an acquire fence behind a relaxed one, takes it over. So every
reordering that x86-64 or Arm may show, and more, is tried.

What must hold in every state: an event that is given out is whole and has the expected number; what is not given out is
counted, exactly; a pad is never taken for an event.

    ring_model.py            checks the ring as it is, then that leaving out any one of its orders is found out
"""
import sys

SLOTS = 2


def locations(writes):
    """head, oldest, then two words a slot: the first is the record's header word, the second its body"""
    return ['head', 'oldest'] + ['w%d.%d' % (s, k) for s in range(SLOTS) for k in range(2)]


HEAD, OLDEST = 0, 1


def word(pos, k):
    return 2 + (pos % SLOTS) * 2 + k


def join(a, b):
    return tuple(x if x > y else y for x, y in zip(a, b))


class Machine:
    """States are tuples: (memory, threads). memory[l]: list of (value, view carried). A thread: (pc, locals, view, the view
    that its next relaxed stores carry, the view that its next acquire fence takes over)."""

    def __init__(self, orders, writes, looks):
        self.orders, self.writes, self.looks = orders, writes, looks
        self.n = 2 + 2 * SLOTS

    def start(self):
        zero = (0,) * self.n
        memory = tuple(((0, zero),) for _ in range(self.n))
        writer = (0, (), zero, zero, zero)
        # cursor, expected, given, lost, looks left, scratch
        reader = (0, (0, 0, 0, 0, self.looks, ()), zero, zero, zero)
        return memory, writer, reader

    # ---- memory ----

    def store(self, memory, thread, loc, value, release):
        pc, loc_vars, view, rel, acq = thread
        stamp = len(memory[loc])
        view = view[:loc] + (stamp,) + view[loc + 1:]
        carried = view if release else join(rel, tuple(stamp if i == loc else 0 for i in range(self.n)))
        memory = memory[:loc] + (memory[loc] + ((value, carried),),) + memory[loc + 1:]
        return memory, (pc, loc_vars, view, rel, acq)

    def loads(self, memory, thread, loc, acquire):
        """every value that the load may return, with the thread after it"""
        pc, loc_vars, view, rel, acq = thread
        for stamp in range(view[loc], len(memory[loc])):
            value, carried = memory[loc][stamp]
            v = view[:loc] + (stamp,) + view[loc + 1:]
            a = join(acq, carried)
            yield value, (pc, loc_vars, join(v, carried) if acquire else v, rel, a)

    # ---- the writer: ring_write.c ----

    def step_writer(self, memory, writer):
        pc, _, view, rel, acq = writer
        record, phase = divmod(pc, 5)
        if record >= self.writes:
            return
        advance = (pc + 1, (), view, rel, acq)
        if phase == 0:  # 1. oldest
            if record < SLOTS:
                yield memory, advance
            else:
                yield self.store(memory, advance, OLDEST, record - SLOTS + 1, 'oldest' in self.orders)
        elif phase == 1:  # 2. release fence
            yield memory, (pc + 1, (), view, view if 'fence_w' in self.orders else rel, acq)
        elif phase in (2, 3):  # 3. words
            yield self.store(memory, advance, word(record, phase - 2), record + 1, False)
        else:  # 4. head
            yield self.store(memory, advance, HEAD, record + 1, 'head_w' in self.orders)

    # ---- the reader: ring_read.c ----

    def step_reader(self, memory, reader):
        pc, (cursor, expect, given, lost, left, got), view, rel, acq = reader

        def at(new_pc, thread, **change):
            v = dict(cursor=cursor, expect=expect, given=given, lost=lost, left=left, got=got)
            v.update(change)
            return new_pc, (v['cursor'], v['expect'], v['given'], v['lost'], v['left'], v['got']), *thread[2:]

        if pc == 0:  # 1. head
            if not left:
                return
            for head, t in self.loads(memory, reader, HEAD, 'head_r' in self.orders):
                if head <= cursor:
                    yield memory, at(0, t, left=left - 1)
                else:
                    yield memory, at(1, t, left=left - 1)
        elif pc in (1, 4):  # 2. a word
            for value, t in self.loads(memory, reader, word(cursor, 0 if pc == 1 else 1), False):
                yield memory, at(pc + 1, t, got=got + (value,))
        elif pc in (2, 5):  # 3. acquire fence
            v = join(view, acq) if 'fence_r' in self.orders else view
            yield memory, at(pc + 1, (pc, None, v, rel, acq))
        elif pc in (3, 6):  # 4. oldest
            for oldest, t in self.loads(memory, reader, OLDEST, False):
                if oldest > cursor and 'check' in self.orders:
                    yield memory, at(0, t, cursor=oldest, got=())
                elif pc == 3:
                    yield memory, at(4, t)
                else:
                    if got != (cursor + 1, cursor + 1):
                        raise Broken('record %d was given out as %r' % (cursor + 1, got))
                    if got[0] - 1 - expect + lost + given != cursor:
                        raise Broken('lost are %d' % lost)
                    yield memory, at(0, t, cursor=cursor + 1, expect=got[0], given=given + 1,
                                     lost=lost + got[0] - 1 - expect, got=())

    def search(self):
        seen, stack = set(), [self.start()]
        while stack:
            state = stack.pop()
            if state in seen:
                continue
            seen.add(state)
            memory, writer, reader = state
            for m, w in self.step_writer(memory, writer):
                stack.append((m, w, reader))
            for m, r in self.step_reader(memory, reader):
                stack.append((m, writer, r))
        return len(seen)


class Broken(Exception):
    pass


# What the code relies on, and the place where it stands there.
RING = {
    'fence_w': 'the release fence behind oldest',
    'head_w': 'release on head',
    'head_r': 'acquire on head',
    'fence_r': 'the acquire fence before oldest is looked at',
    'check': 'looking at oldest',
}


def main():
    states = Machine(set(RING), 5, 4).search()
    print('the ring: %d states, none broken' % states)
    bad = 0
    for missing, what in RING.items():
        try:
            states = Machine(set(RING) - {missing}, 4, 3).search()
        except Broken as b:
            print('without %s: found out: %s' % (what, b))
        else:
            print('without %s: NOT found out in %d states' % (what, states))
            bad = 1
    return bad


if __name__ == '__main__':
    sys.exit(main())
