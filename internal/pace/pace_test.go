// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"context"
	"testing"
	"time"
)

// turnBack makes it be d later for p.
func (p *Pacer) turnBack(d time.Duration) { p.start -= int64(d) }

func TestTheRateDoesNotDrift(t *testing.T) {
	p, begin := New(1000, time.Minute), time.Now()
	for p.Next() < 400 {
		n, err := p.Wait(context.Background())
		if err != nil || n < 1 {
			t.Fatal(n, err)
		}
		time.Sleep(time.Duration(p.Next()%7) * 300 * time.Microsecond) // work that takes its time
		if took := time.Since(begin); took < time.Duration(p.Next())*time.Millisecond {
			t.Fatalf("tick %d came after %v", p.Next(), took)
		}
		p.Done(n)
	}
	// Weeks later the numbers are still the clock's.
	p = New(10000, time.Second)
	p.turnBack(30 * 24 * time.Hour)
	p.Wait(context.Background())
	if want := uint64((30*24*3600 - 1) * 10000); p.Next() < want || p.Next() > want+10000*60 {
		t.Errorf("the next tick is %d, want %d", p.Next(), want)
	}
}

func TestLateTicksAreCaughtUpWithAndTooLateOnesMissed(t *testing.T) {
	p := New(100, time.Second)
	p.turnBack(500 * time.Millisecond)
	if n, err := p.Wait(context.Background()); n < 51 || err != nil || p.Next() != 0 {
		t.Errorf("%d due, next is %d, %v", n, p.Next(), err)
	}
	p.Done(51)
	p.turnBack(10 * time.Second)
	n, err := p.Wait(context.Background())
	if n < 99 || n > 101 || err != nil || p.Next() < 900 {
		t.Errorf("%d due, next is %d, %v", n, p.Next(), err)
	}
	p.Done(n)
	next := p.Next()
	p.turnBack(time.Hour)
	p.Resume()
	if n, _ := p.Wait(context.Background()); n != 1 || p.Next() != next {
		t.Errorf("after a pause %d are due, %d missed", n, p.Next()-next)
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	p := New(0.001, time.Second)
	p.Done(1)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := p.Wait(ctx); err != context.DeadlineExceeded {
		t.Error(err)
	}
}
