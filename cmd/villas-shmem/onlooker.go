// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/villas-ext/villas-ext/format"
	"github.com/villas-ext/villas-ext/pair"
	"github.com/villas-ext/villas-ext/sample"
	"github.com/villas-ext/villas-ext/shmem"
)

// An onlooker looks at what carries an exchange and takes no part in it: all that
// the commands need to show.
type onlooker interface {
	// Look describes it as it is now.
	Look() (*picture, error)
	// Recent calls each with the samples that were written in a direction of the
	// picture from position since on, of more than most the last, as far as they can
	// still be seen, and returns the position to go on with.
	Recent(direction int, since uint64, most int, each func(*format.Record)) (next uint64, err error)
	// Current reports false when the name has come to lead to another object.
	Current() bool
	Close()
}

// A picture is what an onlooker saw.
type picture struct {
	facts      [][2]string // name and value, for people
	directions []direction
	pool       fill
	summary    string   // in a line, beside the name
	data       any      // all of it, for --json
	row        []string // in a list, under the titles of ls
}

// A direction is a queue from one side to the other.
type direction struct {
	label string
	fill
	written uint64 // samples since the beginning
}

// fill is how many of capacity are in use.
type fill struct{ used, capacity uint64 }

// look opens what name names for looking at it: a region, an object of a pair, or both
// of a pair, whose values are of these kinds.
func look(name string, in, out format.Kinds) (onlooker, error) {
	if own, other, is := asPair(name); is {
		return lookAtPair(pairObject{name: own, kinds: in}, pairObject{name: other, kinds: out})
	}
	i, err := shmem.NewInspector(name)
	if err == nil {
		return &regionOnlooker{i}, nil
	}
	if errors.Is(err, shmem.ErrNotRegion) {
		if p, err := lookAtPair(pairObject{name: name, kinds: out}); err == nil || !errors.Is(err, pair.ErrNotPair) {
			return p, err
		}
	}
	return nil, err
}

// names are the names of all objects that look could be interested in.
func names() (all []string) {
	entries, _ := os.ReadDir("/dev/shm")
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(e.Name(), "sem.") {
			all = append(all, "/"+e.Name())
		}
	}
	return all
}

// remove removes what name names, of a pair what is there of it; see [shmem.Remove] and
// [pair.Remove].
func remove(name string, force bool) error {
	if own, other, is := asPair(name); is {
		a, b := pair.Remove(own, force), pair.Remove(other, force)
		switch {
		case a == nil && errors.Is(b, os.ErrNotExist):
			return nil
		case b == nil && errors.Is(a, os.ErrNotExist):
			return nil
		}
		return errors.Join(a, b)
	}
	if o, err := look(name, nil, nil); err == nil {
		o.Close()
		if _, is := o.(*pairOnlooker); is {
			return pair.Remove(name, force)
		}
	}
	return shmem.Remove(name, force)
}

type regionOnlooker struct{ *shmem.Inspector }

// Directions of a region.
const (
	toProgram = iota
	toNode
)

func (r *regionOnlooker) Recent(direction int, since uint64, most int, each func(*format.Record)) (uint64, error) {
	var rec format.Record
	return r.Inspector.Recent(direction == toNode, since, most, func(s sample.Sample) {
		rec.Load(s)
		each(&rec)
	})
}

func (r *regionOnlooker) Look() (*picture, error) {
	s, err := r.Inspector.Look()
	if err != nil {
		return nil, err
	}
	mode := "signalled"
	if s.Polling {
		mode = "polling"
	}
	made := ""
	if s.Reference {
		made = ", made by a node built with the original"
	}
	program := party(s.Program)
	switch {
	case s.Reference && !s.Program.Living, s.Attach == shmem.AttachFree:
		program = "none"
	case s.Attach == shmem.AttachAttached && s.Program.Pid == 0 && !s.Reference:
		program += ", built with the original"
	}
	p := &picture{
		facts: [][2]string{
			{"region", fmt.Sprintf("%s, layout A (%d of 5 signs)%s, %s", s.Name, s.Signs, made, bytes(s.Size))},
			{"access", access(s.Mode, s.UID, s.GID)},
			{"mode", mode},
			{"samples", fmt.Sprintf("%d of up to %d values", s.Pool.Blocks, s.Pool.Values)},
			{"node", party(s.Node)},
			{"program", program},
			{"to program", traffic(s.Out)},
			{"to node", traffic(s.In)},
			{"pool", poolFact(s.Pool)},
			{"mapped by", processes(s.Mappers)},
		},
		directions: []direction{
			{"to program", fill{s.Out.Len, s.Out.Capacity}, s.Out.Pushed},
			{"to node", fill{s.In.Len, s.In.Capacity}, s.In.Pushed},
		},
		pool:    fill{s.Pool.Blocks - s.Pool.Free, s.Pool.Blocks},
		summary: mode + "  node " + party(s.Node) + "  program " + program,
		data:    s,
		row: []string{s.Name, bytes(s.Size), mode, party(s.Node), program, fmt.Sprintf("%d/%d", s.Out.Len, s.Out.Capacity),
			fmt.Sprintf("%d/%d", s.In.Len, s.In.Capacity), fmt.Sprintf("%d/%d", s.Pool.Free, s.Pool.Blocks)},
	}
	return p, nil
}

func access(mode string, uid, gid uint32) string {
	return fmt.Sprintf("%s, %s:%s", mode, userName(uid), groupName(gid))
}

// poolFact says where the samples of a pool are.
func poolFact(p shmem.PoolState) string {
	text := fmt.Sprintf("%d of %d samples are free", p.Free, p.Blocks)
	if p.Held > 0 {
		text += fmt.Sprintf(", %d in somebody's hands", p.Held)
	}
	if p.Leaked > 0 {
		text += fmt.Sprintf(", %d leaked: nobody is there to put them back", p.Leaked)
	}
	return text
}

// processes are processes as people know them.
func processes(pids []int) string {
	all := make([]string, len(pids))
	for i, pid := range pids {
		all[i] = process(pid)
	}
	return strings.Join(all, ", ")
}

// party says in a word how a side is, and who it is.
func party(p shmem.Party) string {
	word := "dead"
	switch {
	case p.Living && p.Stopped:
		word = "stopping"
	case p.Living:
		word = "living"
	case p.Stopped:
		word = "stopped"
	}
	if p.Pid != 0 && p.Living {
		return word + ", " + process(p.Pid)
	}
	return word
}

// traffic says what is in a queue and went through it.
func traffic(q shmem.QueueState) string {
	text := fmt.Sprintf("%d of %d wait, %d were written, %d read", q.Len, q.Capacity, q.Pushed, q.Pulled)
	if q.Unpublished > 0 {
		text += fmt.Sprintf(", %d are being written", q.Unpublished)
	}
	if q.Sleeping {
		text += ", the reader sleeps"
	}
	return text
}

// process is a process as people know it.
func process(pid int) string {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("%s (%d)", strings.TrimSpace(string(comm)), pid)
}

func userName(id uint32) string {
	text := strconv.FormatUint(uint64(id), 10)
	if u, err := user.LookupId(text); err == nil {
		return u.Username
	}
	return text
}

func groupName(id uint32) string {
	text := strconv.FormatUint(uint64(id), 10)
	if g, err := user.LookupGroupId(text); err == nil {
		return g.Name
	}
	return text
}
