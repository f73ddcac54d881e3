// SPDX-License-Identifier: Apache-2.0

package format

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strconv"
	"strings"
)

// separated is CSV and TSV with the columns
//
//	secs,nsecs,offset,sequence,signal0,signal1,...
//
// A header line may name fewer of the first four, in any order, and stand behind
// a '#'. An offset or a sequence that a sample lacks is "nan" or empty.
type separated struct {
	by      byte
	columns []column // as the header orders them; what lies beyond are values
}

type column uint8

const (
	value column = iota
	secs
	nsecs
	offset
	sequence
)

var columnNames = []string{secs: "secs", nsecs: "nsecs", offset: "offset", sequence: "sequence"}

var usualColumns = []column{secs, nsecs, offset, sequence}

func (s *separated) header(line []byte, first bool) (signals []Signal, is bool) {
	comment := line[0] == '#'
	if !first {
		return nil, comment
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimLeft(line, "# ")))
	r.Comma, r.LazyQuotes = rune(s.by), true
	names, _ := r.Read()
	if len(names) == 0 || strings.TrimSpace(names[0]) != columnNames[secs] {
		return nil, comment
	}
	signals, s.columns = []Signal{}, nil
	for _, name := range names {
		c := column(max(0, slices.Index(columnNames, strings.TrimSpace(name))))
		if c == value || slices.Contains(s.columns, c) {
			c = value
			signals = append(signals, parseSignal(name))
		}
		s.columns = append(s.columns, c)
	}
	return signals, true
}

func (s *separated) parse(line []byte, rec *Record) (at int, what string) {
	columns := s.columns
	if columns == nil {
		columns = usualColumns
	}
	for i := 0; ; i++ {
		end, last := len(line), true
		if by := bytes.IndexByte(line[at:], s.by); by >= 0 {
			end, last = at+by, false
		}
		field := bytes.Trim(line[at:end], " ")
		if n := len(field); n >= 2 && field[0] == '"' && field[n-1] == '"' {
			field = field[1 : n-1]
		}
		c := value
		if i < len(columns) {
			c = columns[i]
		}
		if what = parseField(field, c, rec); what != "" {
			return at, what
		}
		if last {
			if i+1 < len(columns) && columns[i+1] != value {
				return len(line), "a column is missing: " + columnNames[columns[i+1]]
			}
			return 0, ""
		}
		at = end + 1
	}
}

// parseField parses one field into rec, or returns what is wrong.
func parseField(field []byte, c column, rec *Record) (what string) {
	ok := true
	absent := len(field) == 0 || bytes.EqualFold(field, []byte("nan"))
	end := 0
	switch {
	case c == secs:
		if rec.Sec, end, ok = parseInt(field, 0); !ok || end != len(field) {
			return "seconds must be an integer, are " + clip(field)
		}
	case c == nsecs:
		if rec.Nsec, end, ok = parseNsec(field, 0); !ok || end != len(field) {
			return "nanoseconds must be 0 to 999999999, are " + clip(field)
		}
	case c == offset && !absent:
		if rec.Offset, ok = parseSeconds(field); !ok {
			return "the offset must be a number of seconds, up to 292 years, is " + clip(field)
		}
		rec.HasOffset = true
	case c == sequence && !absent:
		n, err := strconv.ParseUint(text(field), 10, 64)
		if err != nil {
			return "the sequence must be an integer, is " + clip(field)
		}
		rec.Sequence, rec.HasSequence = n, true
	case c == value:
		v, ok := parseValue(field)
		if !ok {
			return badValue(rec, field)
		}
		rec.Values = append(rec.Values, v)
	}
	return ""
}

func (s *separated) appendHeader(b []byte, signals []Signal, _ *Record) []byte {
	var names []string
	for _, c := range usualColumns {
		names = append(names, columnNames[c])
	}
	for _, signal := range signals {
		names = append(names, strings.Map(unbroken, signal.String()))
	}
	line := bytes.NewBuffer(b)
	w := csv.NewWriter(line)
	w.Comma = rune(s.by)
	w.Write(names) // to memory: cannot fail
	w.Flush()
	return line.Bytes()
}

func (s *separated) append(b []byte, rec *Record) []byte {
	b = append(strconv.AppendInt(b, rec.Sec, 10), s.by)
	b = append(appendPadded(b, uint64(rec.Nsec), 9), s.by)
	if rec.HasOffset {
		b = appendSeconds(b, rec.Offset)
	} else {
		b = append(b, "nan"...)
	}
	b = append(b, s.by)
	if rec.HasSequence {
		b = strconv.AppendUint(b, rec.Sequence, 10)
	} else {
		b = append(b, "nan"...)
	}
	for _, v := range rec.Values {
		b = appendValue(append(b, s.by), v)
	}
	return append(b, '\n')
}
