// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stopNowAndThen stops and continues processes at random until done is closed.
func stopNowAndThen(done <-chan struct{}, processes ...*process) {
	var wg sync.WaitGroup
	for _, p := range processes {
		wg.Go(func() {
			for {
				p.Process.Signal(syscall.SIGSTOP)
				time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
				p.Process.Signal(syscall.SIGCONT)
				select {
				case <-done:
					return
				case <-time.After(time.Duration(rand.IntN(60)) * time.Millisecond):
				}
			}
		})
	}
	wg.Wait()
}

// Either side is stopped and continued at random: queues run full, the pool runs
// dry, readers are slow, holders of the mutex of a program built with the original
// stand still. Nothing is lost but what a short write reported, and every block is
// back in the end: soak.c and exchange.c check that.
func TestStoppedSidesLoseNothing(t *testing.T) {
	seconds := "3"
	if s := os.Getenv("STOP_SECONDS"); s != "" {
		seconds = s
	}
	soakC, soakGo := compile(t, "gcc", "soak/soak.c"), goProgram(t, "soak")
	exchangeC, exchangeGo := compile(t, "gcc", "exchange/exchange.c"), goExchange(t)
	legacy := compile(t, "gcc", "legacy/legacy.c", "-Wl,--as-needed")
	type sides struct{ node, program []string }
	settings := map[string]func(name, flag string) sides{
		"C with Go": func(name, flag string) sides {
			return sides{[]string{soakC, "node", name, flag, seconds, "1.5"}, []string{soakGo, "program", name}}
		},
		"Go with C": func(name, flag string) sides {
			return sides{[]string{soakGo, "node", name, flag, seconds, "1.5"}, []string{soakC, "program", name}}
		},
		"C with the original": func(name, flag string) sides {
			return sides{[]string{exchangeC, "node", name, flag, "20000", "8"}, []string{legacy, "program", name, "8"}}
		},
		"Go with the original": func(name, flag string) sides {
			return sides{[]string{exchangeGo, "node", name, flag, "20000", "8"}, []string{legacy, "program", name, "8"}}
		},
	}
	for polling, mode := range []string{"signalled", "polling"} {
		for setting, argv := range settings {
			t.Run(setting+", "+mode, func(t *testing.T) {
				t.Parallel()
				s := argv(regionName(t), fmt.Sprint(polling))
				node, program := start(t, nil, s.node...), start(t, nil, s.program...)
				done, stopped := make(chan struct{}), make(chan struct{})
				go func() {
					stopNowAndThen(done, node, program)
					close(stopped)
				}()
				out, err := node.end()
				close(done)
				<-stopped
				if err != nil || !strings.Contains(out, "sent") {
					t.Errorf("the node: %v\n%s", err, out)
				}
				if out, err := program.end(); err != nil {
					t.Errorf("the program: %v\n%s", err, out)
				}
				t.Log(strings.TrimSpace(out))
			})
		}
	}
}
