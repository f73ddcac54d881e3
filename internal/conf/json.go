// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// walker builds the tree from JSON's tokens and the offsets at which they end.
type walker struct {
	file  string
	text  []byte
	d     *json.Decoder
	depth int

	line, begin, until int // lines and the begin of the last one, counted up to until
}

func parseJSON(file string, text []byte) (*Value, error) {
	w := &walker{file: file, text: text, d: json.NewDecoder(bytes.NewReader(text)), line: 1}
	w.d.UseNumber()
	v, err := w.value()
	if err == nil {
		at := w.next()
		if _, more := w.d.Token(); more != io.EOF {
			err = errorAt(at, "there must be nothing behind the group")
		}
	}
	return v, err
}

// at is the position of the byte at offset, which never goes back.
func (w *walker) at(offset int) Pos {
	for ; w.until < offset; w.until++ {
		if w.text[w.until] == '\n' {
			w.line, w.begin = w.line+1, w.until+1
		}
	}
	return Pos{w.file, w.line, offset - w.begin + 1}
}

// next is where the next token begins.
func (w *walker) next() Pos {
	rest := w.text[w.d.InputOffset():]
	return w.at(len(w.text) - len(bytes.TrimLeft(rest, " \t\r\n,:")))
}

func (w *walker) token() (json.Token, error) {
	t, err := w.d.Token()
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, errorAt(w.at(max(w.until, min(int(syntax.Offset)-1, len(w.text)))), "%s", strings.TrimPrefix(syntax.Error(), "json: "))
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return nil, errorAt(w.at(len(w.text)), "unexpected end of the file")
	case err != nil:
		return nil, errorAt(w.at(w.until), "%v", err)
	}
	return t, nil
}

func (w *walker) value() (*Value, error) {
	v := &Value{Pos: w.next()}
	t, err := w.token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case bool:
		v.Kind, v.Bool = Bool, t
	case string:
		v.Kind, v.Text = String, t
	case json.Number:
		v.Kind, v.Text = Int, t.String()
		if strings.ContainsAny(v.Text, ".eE") {
			v.Kind = Float
			break
		}
		v.Int, err = strconv.ParseInt(v.Text, 10, 64)
		v.TooLarge = err != nil
	case json.Delim:
		if w.depth++; w.depth > maxDepth {
			return nil, errorAt(v.Pos, "nested deeper than %d levels", maxDepth)
		}
		v.Kind = map[json.Delim]Kind{'{': Group, '[': List}[t]
		for w.d.More() {
			if err := w.member(v); err != nil {
				return nil, err
			}
		}
		w.depth--
		if _, err := w.token(); err != nil { // the closing bracket
			return nil, err
		}
	}
	return v, nil
}

// member reads the next entry of the group or list v.
func (w *walker) member(v *Value) error {
	s := Setting{Pos: w.next()}
	if v.Kind == Group {
		name, err := w.token()
		if err != nil {
			return err
		}
		s.Name, _ = name.(string)
	}
	inner, err := w.value()
	if err != nil {
		return err
	}
	if s.Value = inner; v.Kind == Group {
		v.Settings = append(v.Settings, s)
	} else {
		v.Elements = append(v.Elements, inner)
	}
	return nil
}
