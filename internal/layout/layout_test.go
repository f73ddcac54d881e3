// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"encoding/json"
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

var asInGo = strings.NewReplacer("_", "", "blocksz", "blocksize", "tv_", "", "ts.", "")

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
