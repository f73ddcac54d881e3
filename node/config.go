// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/villas-ext/villas-ext/internal/conf"
	"github.com/villas-ext/villas-ext/shmem"
)

// Config is the settings of one shmem node.
type Config struct {
	Node        string        // name of the node in `nodes`, or empty
	Name        string        // of the shared memory object, with a leading '/'
	QueueLen    int           // elements of either queue, default 512
	SampleLen   int           // values of a sample, default 64
	Polling     bool          // readers poll, default false
	Exec        []string      // external program and its arguments; none if empty
	NoLegacy    bool          // refuse programs that know only the original's pthread protocol
	Permissions os.FileMode   // of the object; 0: 0600
	Group       int           // of the object; 0: the process's
	LockMemory  bool          // keep the region in memory
	Spin        time.Duration // longest spin before a sleep; 0: the default, negative: none
}

// Region is the part of c that describes the region.
func (c *Config) Region() shmem.Config {
	samplelen := c.SampleLen
	if samplelen == 0 {
		samplelen = -1
	}
	return shmem.Config{
		QueueLen: c.QueueLen, SampleLen: samplelen, Polling: c.Polling, NoLegacy: c.NoLegacy,
		Mode: c.Permissions, Group: c.Group, LockMemory: c.LockMemory, Spin: c.Spin,
	}
}

// Size returns the bytes of the region, 0 if it is impossible.
func (c *Config) Size() uint64 {
	return shmem.TotalSize(uint64(c.QueueLen), uint64(c.QueueLen), uint64(c.SampleLen))
}

// check reports what is wrong with settings that did not come from a file.
func (c *Config) check() error {
	var wrong []error
	if text := wrongName(c.Name); text != "" {
		wrong = append(wrong, fmt.Errorf("name: %s", text))
	}
	if c.QueueLen < 1 || c.SampleLen < 0 || c.Size() == 0 {
		wrong = append(wrong, fmt.Errorf("queuelen, samplelen: a region for %d samples of %d values is impossible", c.QueueLen, c.SampleLen))
	}
	for i, arg := range c.Exec {
		if strings.Contains(arg, "\x00") || i == 0 && arg == "" {
			wrong = append(wrong, fmt.Errorf("exec: element %d is %q", i+1, arg))
		}
	}
	return errors.Join(wrong...)
}

// A File is what a configuration file says.
type File struct {
	Nodes    []Config // of type shmem, one at least
	Warnings Faults   // of settings that are accepted and not used
}

// A Fault is something wrong with a setting.
type Fault struct {
	File         string
	Line, Column int
	Setting      string // empty for a fault in the file's syntax
	Text         string // what is wrong, what is allowed
}

func (f Fault) Error() string {
	if f.Setting == "" {
		return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Setting, f.Text)
}

// Faults is all that is wrong with a file, one on a line.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Load reads the configuration file at path: JSON if it ends in .json, YAML for
// .yaml and .yml, else libconfig's syntax. It holds a group `nodes`, of which the
// nodes of type "shmem" count, or the bare settings of one node. All that is
// wrong is reported at once, as [Faults].
func Load(path string) (*File, error) {
	return read(conf.Load(path))
}

// Parse is [Load] for the text of a file called file.
func Parse(file, text string) (*File, error) {
	return read(conf.Parse(file, []byte(text), os.ReadFile))
}

func read(root *conf.Value, err error) (*File, error) {
	var syntax *conf.Error
	if errors.As(err, &syntax) {
		return nil, Faults{{syntax.File, syntax.Line, syntax.Column, "", syntax.Text}}
	}
	if err != nil {
		return nil, err
	}
	var r reader
	if nodes, has := root.Get("nodes"); has {
		r.daemon(root, nodes)
	} else {
		r.node("", root.Pos, root)
	}
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	return &File{Nodes: r.nodes, Warnings: r.warnings}, nil
}

// reader collects the nodes of a file and all that is wrong with it.
type reader struct {
	nodes            []Config
	faults, warnings Faults
}

func faultAt(at conf.Pos, setting, format string, args ...any) Fault {
	return Fault{at.File, at.Line, at.Column, setting, fmt.Sprintf(format, args...)}
}

func (r *reader) fault(s conf.Setting, format string, args ...any) {
	r.faults = append(r.faults, faultAt(s.Pos, s.Name, format, args...))
}

func (r *reader) warn(s conf.Setting, format string, args ...any) {
	r.warnings = append(r.warnings, faultAt(s.Pos, s.Name, format, args...))
}

// distinct reports settings that are given twice.
func (r *reader) distinct(group *conf.Value) {
	first := map[string]conf.Pos{}
	for _, s := range group.Settings {
		if before, has := first[s.Name]; has {
			r.fault(s, "is set twice, at first in %s:%d", before.File, before.Line)
			continue
		}
		first[s.Name] = s.Pos
	}
}

// ofVILLASnode are the settings beside `nodes` in a configuration of VILLASnode.
var ofVILLASnode = []string{
	"nodes", "paths", "plugins", "logging", "log", "debug", "http", "stats", "name", "uuid", "hugepages", "affinity", "priority", "idle_stop",
}

// daemon reads a configuration of VILLASnode.
func (r *reader) daemon(root *conf.Value, nodes conf.Setting) {
	r.distinct(root)
	for _, s := range root.Settings {
		if !slices.Contains(ofVILLASnode, s.Name) {
			r.warn(s, "is no setting of VILLASnode%s: not used", suggest(s.Name, ofVILLASnode))
		}
	}
	if nodes.Value.Kind != conf.Group {
		r.fault(nodes, "must be a group { NODE = { type = \"shmem\", ... } }, is %v", nodes.Value.Kind)
		return
	}
	r.distinct(nodes.Value)
	for _, s := range nodes.Value.Settings {
		if s.Value.Kind != conf.Group {
			r.fault(s, "must be a group { ... }, is %v", s.Value.Kind)
			continue
		}
		t, has := s.Value.Get("type")
		switch {
		case !has:
			r.fault(s, `has no type; a shmem node has type = "shmem"`)
		case t.Value.Kind != conf.String:
			r.fault(t, "must be a string, is %v", t.Value.Kind)
		case t.Value.Text == "shmem":
			r.node(s.Name, s.Pos, s.Value)
		}
	}
	if len(r.faults) == 0 && len(r.nodes) == 0 {
		r.fault(nodes, `there is no node of type "shmem"`)
	}
}

// known are the settings of a shmem node, and how each is read.
var known = []struct {
	name string
	read func(*reader, conf.Setting, *Config)
}{
	{"type", func(r *reader, s conf.Setting, _ *Config) { r.choice(s, "shmem") }},
	{"name", func(r *reader, s conf.Setting, c *Config) { c.Name = r.object(s) }},
	{"queuelen", func(r *reader, s conf.Setting, c *Config) { c.QueueLen = r.integer(s, 1, shmem.MaxQueueLen) }},
	{"samplelen", func(r *reader, s conf.Setting, c *Config) { c.SampleLen = r.integer(s, 0, shmem.MaxSampleLen) }},
	{"polling", func(r *reader, s conf.Setting, c *Config) { c.Polling = r.boolean(s) }},
	{"mode", func(r *reader, s conf.Setting, c *Config) { c.Polling = r.choice(s, "pthread", "polling") == "polling" }},
	{"exec", func(r *reader, s conf.Setting, c *Config) { c.Exec = r.command(s) }},
	{"legacy", func(r *reader, s conf.Setting, c *Config) { c.NoLegacy = !r.boolean(s) }},
	{"permissions", func(r *reader, s conf.Setting, c *Config) { c.Permissions = r.permissions(s) }},
	{"group", func(r *reader, s conf.Setting, c *Config) { c.Group = r.group(s) }},
	{"lock_memory", func(r *reader, s conf.Setting, c *Config) { c.LockMemory = r.boolean(s) }},
	{"spin", func(r *reader, s conf.Setting, c *Config) { c.Spin = r.spin(s) }},
}

// unused are settings that every node of VILLASnode may have and that mean
// nothing here.
var unused = []string{"in", "out", "hooks", "signals", "builtin", "vectorize", "enabled", "uuid", "netem", "fwmark", "mark", "tags", "affinity"}

var knownNames = func() (all []string) {
	for _, k := range known {
		all = append(all, k.name)
	}
	return all
}()

// node reads the settings of a shmem node, whose name or begin stands at at.
func (r *reader) node(name string, at conf.Pos, group *conf.Value) {
	c := Config{Node: name, QueueLen: shmem.DefaultQueueLen, SampleLen: shmem.DefaultSampleLen}
	before := len(r.faults)
	r.distinct(group)
	pair := false
	for _, s := range group.Settings {
		i := slices.Index(knownNames, s.Name)
		switch {
		case i >= 0:
			known[i].read(r, s, &c)
		case (s.Name == "in" || s.Name == "out") && isPair(s):
			if !pair {
				r.fault(s, "in.name and out.name are the pair of objects of VILLASnode 1.x, one for each direction; "+
					"this node has one object for both: give its name as name = \"/villas1\"")
			}
			pair = true
		case slices.Contains(unused, s.Name):
			r.warn(s, "is a setting of VILLASnode that has no use here")
		default:
			r.fault(s, "unknown setting%s; known are %s", suggest(s.Name, append(knownNames[:len(knownNames):len(knownNames)], unused...)),
				strings.Join(knownNames, ", "))
		}
	}
	mode, hasMode := group.Get("mode")
	if polling, has := group.Get("polling"); has && hasMode && polling.Value.Kind == conf.Bool &&
		polling.Value.Bool != (mode.Value.Text == "polling") {
		r.fault(mode, "contradicts polling = %v: give one of the two", polling.Value.Bool)
	}
	if _, has := group.Get("name"); !has && !pair {
		r.fault(conf.Setting{Pos: at, Name: "name"}, "is required: the name of the shared memory object, such as \"/villas1\"")
	}
	if before == len(r.faults) {
		if c.Size() == 0 {
			s, _ := group.Get("queuelen")
			r.fault(s, "a region for %d samples of %d values is too large", c.QueueLen, c.SampleLen)
		}
		r.nodes = append(r.nodes, c)
	}
}

func isPair(s conf.Setting) bool {
	_, has := s.Value.Get("name")
	return has
}

// is reports whether the setting is of that kind, and a fault if not.
func (r *reader) is(s conf.Setting, kind conf.Kind, want string) bool {
	if s.Value.Kind != kind {
		r.fault(s, "must be %s, is %v", want, s.Value.Kind)
	}
	return s.Value.Kind == kind
}

func (r *reader) boolean(s conf.Setting) bool {
	return r.is(s, conf.Bool, "true or false") && s.Value.Bool
}

// choice reads a string that must be one of a few.
func (r *reader) choice(s conf.Setting, allowed ...string) string {
	quoted := make([]string, len(allowed))
	for i, a := range allowed {
		quoted[i] = strconv.Quote(a)
	}
	want := strings.Join(quoted, " or ")
	if r.is(s, conf.String, want) && !slices.Contains(allowed, s.Value.Text) {
		r.fault(s, "must be %s, is %q", want, s.Value.Text)
	}
	return s.Value.Text
}

// object reads the name of a shared memory object.
func (r *reader) object(s conf.Setting) string {
	if !r.is(s, conf.String, "a string") {
		return ""
	}
	if wrong := wrongName(s.Value.Text); wrong != "" {
		r.fault(s, "%s", wrong)
	}
	return s.Value.Text
}

// wrongName says what is wrong with the name of an object, if something is.
func wrongName(name string) string {
	switch {
	case !strings.HasPrefix(name, "/") || len(name) < 2:
		return fmt.Sprintf("must start with '/' and go on, is %q", name)
	case strings.Contains(name[1:], "/"):
		return fmt.Sprintf("must have no second '/', is %q", name)
	case strings.Contains(name, "\x00") || name == "/." || name == "/..":
		return fmt.Sprintf("must be a file's name behind the '/', is %q", name)
	case len(name) > 256:
		return fmt.Sprintf("must be at most 255 bytes behind the '/', is %d", len(name)-1)
	}
	return ""
}

func (r *reader) integer(s conf.Setting, low, high int64) int {
	if !r.is(s, conf.Int, "an integer") {
		return int(low)
	}
	switch n := s.Value.Int; {
	case s.Value.TooLarge:
		r.fault(s, "must be %d to %d, is %s", low, high, s.Value.Text)
	case n < low:
		r.fault(s, "must be at least %d, is %d", low, n)
	case n > high:
		r.fault(s, "must be at most %d, is %d", high, n)
	}
	return int(s.Value.Int)
}

// command reads a program and its arguments, which are passed as to execve.
func (r *reader) command(s conf.Setting) (argv []string) {
	const want = `an array of strings, such as [ "program", "argument" ]`
	if !r.is(s, conf.List, want) {
		return nil
	}
	if len(s.Value.Elements) == 0 {
		r.fault(s, "must be %s, is empty", want)
	}
	for i, e := range s.Value.Elements {
		switch {
		case e.Kind != conf.String:
			r.fault(conf.Setting{Pos: e.Pos, Name: s.Name}, "element %d must be a string, is %v", i+1, e.Kind)
		case i == 0 && e.Text == "":
			r.fault(conf.Setting{Pos: e.Pos, Name: s.Name}, "element 1 must be a program, is empty")
		case strings.Contains(e.Text, "\x00"):
			r.fault(conf.Setting{Pos: e.Pos, Name: s.Name}, "element %d must have no NUL byte", i+1)
		}
		argv = append(argv, e.Text)
	}
	return argv
}

var octal = regexp.MustCompile(`^0?6[046][046]$`)

// permissions reads what the owner, the group and others may do with the object.
func (r *reader) permissions(s conf.Setting) os.FileMode {
	const want = `a string of octal digits: "0600", or "0660" to share with a group, "0666" with all (4: may only look)`
	if !r.is(s, conf.String, want) {
		return 0
	}
	if !octal.MatchString(s.Value.Text) {
		r.fault(s, "must be %s, is %q", want, s.Value.Text)
	}
	mode, _ := strconv.ParseUint(s.Value.Text, 8, 32)
	return os.FileMode(mode)
}

// group reads the group of the object, by name or number.
func (r *reader) group(s conf.Setting) int {
	if s.Value.Kind == conf.Int {
		return r.integer(s, 1, 1<<32-2)
	}
	if !r.is(s, conf.String, "a group's name or number") {
		return 0
	}
	g, err := user.LookupGroup(s.Value.Text)
	if err != nil {
		r.fault(s, "there is no group %q on this machine", s.Value.Text)
		return 0
	}
	id, _ := strconv.Atoi(g.Gid)
	return id
}

// spin reads a time in microseconds.
func (r *reader) spin(s conf.Setting) time.Duration {
	us := r.integer(s, 0, 1_000_000)
	if us == 0 {
		return -1
	}
	return time.Duration(us) * time.Microsecond
}

// suggest names the known setting that is nearest to a misspelt one.
func suggest(name string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(strings.ToLower(name), k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance is Levenshtein's, by rows.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
