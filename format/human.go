// SPDX-License-Identifier: Apache-2.0

// Package format reads and writes samples as text.
package format

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// A Record is a sample as text has it.
type Record struct {
	Sec, Nsec   int64 // origin
	Offset      float64
	HasOffset   bool
	Sequence    uint64
	HasSequence bool
	NewFrame    bool
	Values      []float64
}

// A HumanReader reads villas.human, VILLASnode's text format of samples, as 0.3
// and 1.x write it:
//
//	SECONDS.NANOSECONDS[+OFFSET|-OFFSET][(SEQUENCE)][F] VALUE VALUE ...
//
// The part behind the point is an integer count of nanoseconds. Lines that start
// with '#' and empty lines are skipped.
type HumanReader struct {
	name string
	line int
	r    *bufio.Reader
}

// NewHumanReader reads from r, which errors call name.
func NewHumanReader(name string, r io.Reader) *HumanReader {
	return &HumanReader{name: name, r: bufio.NewReaderSize(r, 64<<10)}
}

// Read fills rec with the next sample, reusing its memory. At the end it returns
// io.EOF. A malformed line is an error that says file, line and column; the next
// Read goes on with the line after it.
func (h *HumanReader) Read(rec *Record) error {
	for {
		text, err := h.r.ReadBytes('\n')
		if len(text) == 0 {
			return err
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("%s:%d: %w", h.name, h.line+1, err)
		}
		h.line++
		text = bytes.TrimRight(text, " \t\r\n")
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		if column, what := parseHuman(text, rec); what != "" {
			return fmt.Errorf("%s:%d:%d: %s", h.name, h.line, column+1, what)
		}
		return nil
	}
}

// parseHuman parses a line into rec, or returns where and what is wrong.
func parseHuman(text []byte, rec *Record) (column int, what string) {
	*rec = Record{Values: rec.Values[:0]}
	head := text
	if end := bytes.IndexAny(text, " \t"); end >= 0 {
		head = text[:end]
	}
	var ok bool
	at := 0
	if rec.Sec, at, ok = integer(head, at, true); !ok {
		return at, "seconds must be an integer"
	}
	if at < len(head) && head[at] == '.' {
		if rec.Nsec, at, ok = integer(head, at+1, false); !ok || rec.Nsec > 999999999 {
			return at, "nanoseconds must be 0 to 999999999"
		}
	}
	if at < len(head) && (head[at] == '+' || head[at] == '-') {
		end := at + 1
		for end < len(head) && (head[end] >= '0' && head[end] <= '9' || bytes.IndexByte([]byte(".eE+-"), head[end]) >= 0) {
			end++
		}
		v, err := strconv.ParseFloat(string(head[at:end]), 64)
		if err != nil {
			return at, "the offset must be a number of seconds"
		}
		rec.Offset, rec.HasOffset, at = v, true, end
	}
	if at < len(head) && head[at] == '(' {
		size := bytes.IndexByte(head[at:], ')')
		n, err := strconv.ParseUint(string(head[at+1:at+max(size, 1)]), 10, 64)
		if err != nil {
			return at, "the sequence must be an integer in parentheses"
		}
		rec.Sequence, rec.HasSequence, at = n, true, at+size+1
	}
	if at < len(head) && head[at] == 'F' {
		rec.NewFrame = true
		at++
	}
	if at != len(head) {
		return at, fmt.Sprintf("unexpected %q behind the time", head[at:])
	}
	for at < len(text) {
		if text[at] == ' ' || text[at] == '\t' {
			at++
			continue
		}
		end := at
		for end < len(text) && text[end] != ' ' && text[end] != '\t' {
			end++
		}
		v, err := strconv.ParseFloat(string(text[at:end]), 64)
		if err != nil {
			return at, fmt.Sprintf("value %d must be a number, is %q", len(rec.Values)+1, text[at:end])
		}
		rec.Values = append(rec.Values, v)
		at = end
	}
	return 0, ""
}

// integer reads decimal digits, and a sign if it may have one.
func integer(b []byte, at int, signed bool) (n int64, end int, ok bool) {
	end = at
	if signed && end < len(b) && b[end] == '-' {
		end++
	}
	digits := end
	for end < len(b) && b[end] >= '0' && b[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(string(b[at:end]), 10, 64)
	return n, end, err == nil && end > digits
}
