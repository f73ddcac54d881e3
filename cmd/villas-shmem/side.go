// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/villas-ext/villas-ext/format"
	"github.com/villas-ext/villas-ext/pool"
	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
)

// A side is one end of an exchange, whatever lies in between: all that the
// commands need to move samples. One goroutine may send while another receives
// or echoes.
//
// Errors: io.EOF when the other side has stopped and all it sent was received,
// shmem.ErrPeerDied when it died, os.ErrClosed, that of the context.
type side interface {
	// Send puts records into the queue to the other side and returns how many.
	// With wait it waits until there is room for all. A record that has more values than a
	// sample has room for is an error.
	Send(ctx context.Context, records []format.Record, wait bool) (int, error)
	// Receive fills records with samples from the other side, reusing their
	// memory, and returns how many. With wait it waits for one at least.
	Receive(ctx context.Context, records []format.Record, wait bool) (int, error)
	// Echo waits for samples, up to vector, writes them back and returns how many.
	Echo(ctx context.Context, vector int) (int, error)
	// Samples is how many samples there are: as many can be on their way.
	Samples() int
	Close() error
}

// openSide opens what name names as an external program does, and waits until it
// is there if told. o is for pairs.
func openSide(ctx context.Context, name string, wait bool, o pairOptions) (side, error) {
	if own, other, is := asPair(name); is {
		return openPair(ctx, own, other, wait, o)
	}
	for {
		p, err := shmem.Open(ctx, name, shmem.OpenOptions{})
		switch {
		case err == nil:
			return &regionSide{end: p}, nil
		case !wait || !errors.Is(err, os.ErrNotExist) && !errors.Is(err, shmem.ErrPeerDied):
			return nil, opening(err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// opening tells the other side's absence from other errors of an open.
func opening(err error) error {
	if errors.Is(err, shmem.ErrPeerDied) {
		return fmt.Errorf("%w: %w", errPeer, err)
	}
	return err
}

const (
	vectorLen  = 64                     // samples that are moved at once
	allocPause = 100 * time.Microsecond // before the next look into an empty pool
)

// regionSide is a side of a region: the node's or the program's.
type regionSide struct {
	end interface {
		Alloc([]sample.Sample) int
		ReadContext(context.Context, []sample.Sample) (int, error)
		TryRead([]sample.Sample) (int, error)
		Write([]sample.Sample) (int, error)
		Pool() *pool.View
		WriteContext(context.Context, []sample.Sample) (int, error)
		Close() error
	}
	node      bool         // it is the node's, which notes when it received a sample
	using     sync.RWMutex // held while samples of the region are in use
	out, back [vectorLen]sample.Sample
}

// Close waits for calls under way, whose context must have ended.
func (r *regionSide) Close() error {
	r.using.Lock()
	defer r.using.Unlock()
	return r.end.Close()
}

func (r *regionSide) Samples() int { return int(r.end.Pool().Count()) }

func (r *regionSide) Send(ctx context.Context, records []format.Record, wait bool) (sent int, err error) {
	r.using.RLock()
	defer r.using.RUnlock()
	for sent < len(records) {
		have := r.end.Alloc(r.out[:min(vectorLen, len(records)-sent)])
		if have == 0 {
			if !wait {
				return sent, nil
			}
			if err := r.pause(ctx); err != nil {
				return sent, err
			}
			continue
		}
		done, err := r.write(ctx, records[sent:], r.out[:have], wait)
		sample.PutAll(r.out[done:have])
		sent += done
		if err != nil || done < have {
			return sent, err
		}
	}
	return sent, nil
}

// write makes samples of records and writes them.
func (r *regionSide) write(ctx context.Context, records []format.Record, smps []sample.Sample, wait bool) (int, error) {
	if err := r.store(records, smps); err != nil {
		return 0, err
	}
	if wait {
		return r.end.WriteContext(ctx, smps)
	}
	return r.end.Write(smps)
}

// pause waits for a sample to come back into the pool.
func (r *regionSide) pause(ctx context.Context) error {
	if _, err := r.end.Write(nil); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(allocPause):
		return nil
	}
}

// store makes samples of records: sent now, and received now by a node, unless the
// record says when.
func (r *regionSide) store(records []format.Record, smps []sample.Sample) error {
	now := time.Now()
	for i, s := range smps {
		if records[i].Store(s) > 0 {
			return fmt.Errorf("a sample of %d values: there is room for %d (raise samplelen)", len(records[i].Values), s.Cap())
		}
		s.SetSent(now)
		if r.node && !records[i].HasOffset {
			s.SetReceived(now)
		}
	}
	return nil
}

func (r *regionSide) Receive(ctx context.Context, records []format.Record, wait bool) (n int, err error) {
	r.using.RLock()
	defer r.using.RUnlock()
	smps := r.back[:min(vectorLen, len(records))]
	if wait {
		n, err = r.end.ReadContext(ctx, smps)
	} else {
		n, err = r.end.TryRead(smps)
	}
	now := time.Now()
	for i, s := range smps[:n] {
		if r.node {
			s.SetReceived(now)
		}
		records[i].Load(s)
		s.Put()
	}
	return n, err
}

func (r *regionSide) Echo(ctx context.Context, vector int) (int, error) {
	r.using.RLock()
	defer r.using.RUnlock()
	smps := r.back[:min(vectorLen, vector)]
	n, err := r.end.ReadContext(ctx, smps)
	if err != nil {
		return 0, err
	}
	done, err := r.end.WriteContext(ctx, smps[:n])
	sample.PutAll(smps[done:n])
	return done, err
}
