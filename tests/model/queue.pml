/* SPDX-License-Identifier: Apache-2.0 */

/* The queue of package queue with claims of many at once, single-step peers, a producer process that is killed at any
 * instant, and the drain after its death. Checked with spin, see docs/correctness.md.
 *
 * What must hold in the end: every element that was published was pulled exactly once, none that was not, and nothing
 * stands between head and tail.
 *
 * Wrong variants, each of which must fail: EARLY skips unpublished cells of a living producer, BLIND moves the position
 * without looking whether another moved it, UNREADY claims the cells behind the first without looking whether they are
 * free, HASTY publishes before it has written the element, IMPATIENT ends a drain at an unpublished cell. */

#ifndef CELLS
#define CELLS 2
#endif
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef CONSUMERS
#define CONSUMERS 2
#endif
#ifndef EACH
#define EACH 3			/* elements of each producer */
#endif
#define AT_ONCE 2		/* the longest claim */
#define MASK (CELLS - 1)

byte tail, head;
byte sequence[CELLS], data[CELLS];

bool killed;			/* the producers' process */
byte producing = PRODUCERS;	/* producers that are not done, the killed excepted */
byte consuming = CONSUMERS;

/* For the check only. */
bool published[PRODUCERS * EACH];
byte pulled[PRODUCERS * EACH];

/* Claim up to n cells by moving counter: the first, and how many, 0 if the next is not ready. Each load is a step. */
inline claim(counter, lag, n, pos, got)
{
	do
	:: pos = counter;
		ahead = sequence[pos & MASK] - (pos + lag);
		if
		:: ahead < 0 -> got = 0; break
		:: ahead > 0 -> skip
		:: ahead == 0 ->
			got = 1;
			do
#ifdef UNREADY
			:: got < n -> got++
#else
			:: got < n && sequence[(pos + got) & MASK] == pos + got + lag -> got++
#endif
			:: else -> break
			od;
			atomic {
				if
#ifdef BLIND
				:: true -> counter = pos + got; break
#else
				:: counter == pos -> counter = pos + got; break
				:: else
#endif
				fi
			}
		fi
	od
}

proctype producer(byte id)
{
	byte pos, got, i, n, done;
	short ahead;

	{
		do
		:: done < EACH ->
			select(n : 1 .. AT_ONCE);
			if
			:: n > EACH - done -> n = EACH - done
			:: else
			fi;
			claim(tail, 0, n, pos, got);
			i = 0;
			do
			:: i < got ->
#ifdef HASTY
				atomic { sequence[(pos + i) & MASK] = pos + i + 1; published[id * EACH + done] = true };
				data[(pos + i) & MASK] = id * EACH + done;
#else
				data[(pos + i) & MASK] = id * EACH + done;
				atomic { sequence[(pos + i) & MASK] = pos + i + 1; published[id * EACH + done] = true };
#endif
				done++;
				i++
			:: else -> break
			od;
			atomic { pos = 0; got = 0; i = 0; n = 0; ahead = 0 }	/* fewer states */
		:: else -> break
		od;
		atomic { producing--; goto over }
	} unless { killed };
over:
	skip
}

proctype killer()
{
	if
	:: killed = true
	:: skip
	fi
}

/* Step over the next cell if it was claimed and never published. */
inline skip_unpublished(pos, stepped)
{
	stepped = false;
	pos = head;
	if
	:: tail - pos - 1 >= 0 && tail - pos - 1 <= MASK && sequence[pos & MASK] == pos ->
		atomic {
			if
			:: head == pos -> head = pos + 1; stepped = true
			:: else
			fi
		};
		if
		:: stepped -> sequence[pos & MASK] = pos + MASK + 1
		:: else
		fi
	:: else
	fi
}

proctype consumer()
{
	byte pos, got, i, n, e;
	short ahead;
	bool stepped, over;

	do
	:: over = killed || producing == 0;	/* looked at before the queue, as a read does */
		select(n : 1 .. AT_ONCE);
		claim(head, 1, n, pos, got);
		i = 0;
		do
		:: i < got ->
			e = data[(pos + i) & MASK];
			pulled[e]++;
			assert(pulled[e] == 1);
			assert(published[e]);
			sequence[(pos + i) & MASK] = pos + i + MASK + 1;
			i++
		:: else -> break
		od;
		if
		:: got > 0
#ifdef EARLY
		:: got == 0 -> skip_unpublished(pos, stepped)
#endif
		:: got == 0 && over ->
#ifdef IMPATIENT
			break
#else
			skip_unpublished(pos, stepped);
			if
			:: stepped
			:: !stepped && head == tail -> break	/* a cell that another consumer has claimed is its own to finish */
			:: else
			fi
#endif
		:: got == 0 && !over
		fi;
		atomic { pos = 0; got = 0; i = 0; n = 0; e = 0; ahead = 0; stepped = false; over = false }	/* fewer states */
	od;
	consuming--
}

init
{
	byte i;

	atomic {
		for (i : 0 .. CELLS - 1) {
			sequence[i] = i
		}
		for (i : 0 .. PRODUCERS - 1) {
			run producer(i)
		}
		for (i : 0 .. CONSUMERS - 1) {
			run consumer()
		}
		run killer()
	}
	(consuming == 0);
	for (i : 0 .. PRODUCERS * EACH - 1) {
		assert(pulled[i] == published[i])
	}
	assert(head == tail)
}
