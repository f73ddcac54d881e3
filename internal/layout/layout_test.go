// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"
)

// measured is what was measured on builds of the reference.
type measured struct {
	Structs map[string]struct {
		Sizeof, Alignof uintptr
		Fields          map[string]struct{ Offset, Size uintptr }
	}
}

func load(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// fields lists a struct's named fields by their path, lower-cased and without
// underscores, with offset and size.
func fields(typ reflect.Type, prefix string, base uintptr, into map[string][2]uintptr) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Name == "_" {
			continue
		}
		name := prefix + strings.ToLower(f.Name)
		into[name] = [2]uintptr{base + f.Offset, f.Type.Size()}
		if f.Type.Kind() == reflect.Struct {
			fields(f.Type, name+".", base+f.Offset, into)
		}
	}
}

var asInGo = strings.NewReplacer("_", "", "blocksz", "blocksize", "tv_", "", "ts.", "", "pthread.", "")

func TestStructsLieWhereTheReferencePutsThem(t *testing.T) {
	var m measured
	load(t, "testdata/layout-a.json", &m)
	for name, value := range map[string]any{
		"struct memtype": Memtype{}, "struct memblock": Memblock{}, "struct queue_cell": Cell{}, "struct queue": Queue{},
		"struct queue_signalled": QueueSignalled{}, "struct pool": Pool{}, "struct shmem_shared": Shared{}, "struct sample": Sample{},
	} {
		typ, want := reflect.TypeOf(value), m.Structs[name]
		if typ.Size() != want.Sizeof || uintptr(typ.Align()) != want.Alignof {
			t.Errorf("%s: %d bytes aligned to %d, the reference has %d to %d", name, typ.Size(), typ.Align(), want.Sizeof, want.Alignof)
		}
		have := map[string][2]uintptr{}
		fields(typ, "", 0, have)
		for field, at := range want.Fields {
			if strings.HasPrefix(field, "_pad") && field != "_pad1" || field == "data[0]" || field == "ts" {
				continue
			}
			h, ok := have[asInGo.Replace(field)]
			if !ok {
				t.Errorf("%s.%s is missing", name, field)
			} else if h != [2]uintptr{at.Offset, at.Size} {
				t.Errorf("%s.%s: offset and size %v, the reference has %v", name, field, h, at)
			}
		}
	}
}

func TestStructsOfLayoutGLieWhereVILLASnodePutsThem(t *testing.T) {
	var m struct {
		Layout    map[string]json.RawMessage
		Shared    uintptr `json:"offset_of_shared_struct_in_object"`
		Constants struct {
			Mode  map[string]int `json:"QueueSignalledMode"`
			State map[string]int `json:"State_used_in_shm"`
			Flags map[string]int `json:"SampleFlags"`
		}
	}
	load(t, "testdata/layout-g.json", &m)
	ours := map[string]int{"DESTROYED": StateDestroyed, "INITIALIZED": StateInitialized, "STOPPED": StateStopped}
	if !maps.Equal(ours, m.Constants.State) {
		t.Errorf("states %v, VILLASnode has %v", ours, m.Constants.State)
	}
	if c := m.Constants.Mode; c["PTHREAD"] != ModePthread || c["POLLING"] != ModePolling {
		t.Errorf("modes of VILLASnode %v", c)
	}
	ours = map[string]int{"HAS_TS_ORIGIN": HasOrigin, "HAS_TS_RECEIVED": HasReceived, "HAS_OFFSET": HasOffset,
		"HAS_SEQUENCE": HasSequence, "HAS_DATA": HasData, "NEW_FRAME": NewFrame, "NEW_SIMULATION": NewSimulation}
	if !maps.Equal(ours, m.Constants.Flags) {
		t.Errorf("flags %v, VILLASnode has %v", ours, m.Constants.Flags)
	}
	if m.Shared != SharedOffset {
		t.Errorf("struct shmem_shared stands at %d, in VILLASnode at %d", SharedOffset, m.Shared)
	}
	for name, value := range map[string]any{
		"memory_type": Memtype{}, "memory_block": Memblock{}, "queue_cell": Cell{}, "queue": QueueG{},
		"queue_signalled": QueueSignalledG{}, "pool": PoolG{}, "shmem_shared": SharedG{}, "sample": SampleG{},
	} {
		var want struct {
			Sizeof uintptr
			Fields map[string]struct{ Offset, Size uintptr }
		}
		if err := json.Unmarshal(m.Layout[name], &want); err != nil {
			t.Fatal(name, err)
		}
		typ, have := reflect.TypeOf(value), map[string][2]uintptr{}
		if typ.Size() != want.Sizeof {
			t.Errorf("%s: %d bytes, VILLASnode has %d", name, typ.Size(), want.Sizeof)
		}
		fields(typ, "", 0, have)
		for field, at := range want.Fields {
			switch {
			case strings.HasSuffix(field, "eventfd"): // in place of the pthread objects; not between processes
				continue
			case field == "data[]":
				if at.Offset != typ.Size() || at.Size != ValueSizeG {
					t.Errorf("values stand at %v", at)
				}
				continue
			case name == "memory_block" && field == "length":
				field = "len"
			case name == "memory_block" && field == "used": // a bool: the first byte of our flags
				field, at.Size = "flags", 4
			}
			h, ok := have[asInGo.Replace(field)]
			if !ok {
				t.Errorf("%s.%s is missing", name, field)
			} else if h != [2]uintptr{at.Offset, at.Size} {
				t.Errorf("%s.%s: offset and size %v, VILLASnode has %v", name, field, h, at)
			}
		}
	}
}
