// SPDX-License-Identifier: Apache-2.0

// Command exchange is one side of a checked exchange, through the Go API:
// exchange node|program NAME POLLING COUNT VECTOR. Its twin in C is
// tests/c/exchange/exchange.c.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
)

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: exchange node|program NAME POLLING COUNT VECTOR")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	count, _ := strconv.Atoi(os.Args[4])
	vector, _ := strconv.Atoi(os.Args[5])
	var err error
	if os.Args[1] == "node" {
		err = node(ctx, os.Args[2], os.Args[3] == "1", count, vector)
	} else {
		err = program(ctx, os.Args[2], vector)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func program(ctx context.Context, name string, vector int) error {
	var prog *shmem.Program
	var err error
	for range 2000 {
		if prog, err = shmem.Open(ctx, name, shmem.OpenOptions{}); !errors.Is(err, os.ErrNotExist) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	smps := make([]sample.Sample, vector)
	for {
		n, err := prog.ReadContext(ctx, smps)
		if err == io.EOF {
			return prog.Close()
		}
		if err != nil {
			return err
		}
		if done, err := prog.WriteContext(ctx, smps[:n]); err != nil {
			sample.PutAll(smps[done:n])
		}
	}
}

func fill(s sample.Sample, i int32) {
	s.SetSequence(i)
	s.SetLen(3)
	s.SetFloat(0, float64(float32(i%1000)*1.5))
	s.SetInt(1, i*7)
	s.SetFloat(2, -float64(i%77))
	s.SetOrigin(time.Unix(1000000+int64(i), int64(i%1000000000)))
	s.SetReceived(time.Unix(int64(i), 1))
	s.SetSent(time.Unix(-int64(i), 999999999))
}

func right(s sample.Sample, i int32) bool {
	return s.Sequence() == i && s.Len() == 3 && s.Cap() >= 3 && s.Values()[0] == float32(i%1000)*1.5 &&
		s.Int(1) == int64(i*7) && s.Values()[2] == -float32(i%77) && !s.IsInt(0) && s.IsInt(1) && !s.IsInt(2) &&
		s.Origin().Equal(time.Unix(1000000+int64(i), int64(i%1000000000))) &&
		s.Received().Equal(time.Unix(int64(i), 1)) && s.Sent().Equal(time.Unix(-int64(i), 999999999))
}

func node(ctx context.Context, name string, polling bool, count, vector int) error {
	const queuelen = 256
	n, err := shmem.Create(name, shmem.Config{QueueLen: queuelen, SampleLen: 8, Polling: polling})
	if err != nil {
		return err
	}
	defer n.Close()
	if err := n.Accept(ctx); err != nil {
		return err
	}
	smps := make([]sample.Sample, vector)
	sent, got, bad := 0, 0, 0
	for got < count {
		if sent < count && sent-got < 200 {
			have := n.Alloc(smps[:min(vector, count-sent)])
			for i, s := range smps[:have] {
				fill(s, int32(sent+i))
			}
			done, err := n.Write(smps[:have])
			if err != nil {
				return err
			}
			sample.PutAll(smps[done:have])
			if sent += done; done > 0 {
				continue
			}
		}
		r, err := n.ReadContext(ctx, smps)
		if err != nil {
			return err
		}
		for i, s := range smps[:r] {
			if !right(s, int32(got+i)) {
				bad++
			}
			s.Put()
		}
		got += r
	}
	free := n.Pool().Free()
	fmt.Printf("sent %d received %d bad %d free %d of %d\n", sent, got, bad, free, 2*queuelen)
	if bad > 0 || free != 2*queuelen {
		return errors.New("samples are wrong or lost")
	}
	return nil
}
