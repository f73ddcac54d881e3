// SPDX-License-Identifier: Apache-2.0

// Package format reads and writes samples as text, one sample a line:
//
//	villas.human       VILLASnode 1.x's own format; 0.3's lines are read as well
//	villas.human-0.3   the same as VILLASnode 0.3 wrote it: six decimals, no header
//	csv, tsv           secs,nsecs,offset,sequence,signal0,signal1,...
//	json               JSON lines: {"ts":{"origin":[s,ns],"received":[s,ns]},"sequence":n,"data":[...]}
//
// Readers and writers stream: they hold one line, of any length, and in the
// steady state those of villas.human, CSV and TSV allocate nothing. Timestamps
// are exact to the nanosecond. None of them is safe for use by several
// goroutines at once.
package format

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
)

// A Record is a sample as text has it.
type Record struct {
	Sec, Nsec   int64         // origin: when the values were made, since the Unix epoch; Nsec is 0 to 999999999
	Offset      time.Duration // received minus origin
	HasOffset   bool
	Sequence    uint64
	HasSequence bool
	NewFrame    bool // the first sample of a frame; villas.human alone can tell
	Values      []Value
}

// A Signal is what a header line says of a column of values.
type Signal struct {
	Name, Unit string
}

// A Reader reads records.
type Reader interface {
	// Read fills rec with the next sample, reusing its memory. At the end it
	// returns io.EOF. A malformed line is a *SyntaxError; the next Read goes on
	// with the line after it.
	Read(rec *Record) error
	// Line is the number, from 1, of the line that the last Read took.
	Line() int
	// Signals is what the header said, nil without one. It is known after the
	// first Read.
	Signals() []Signal
}

// A Writer writes records. It buffers: what was written may lie with the writer
// until Flush.
type Writer interface {
	Write(rec *Record) error
	Flush() error
}

// WriterOptions are options of [Format.NewWriter]; the zero value is the usual.
type WriterOptions struct {
	Signals  []Signal // for the header; columns without a name are called signal0, signal1, ...
	NoHeader bool
}

// SyntaxError is a malformed line.
type SyntaxError struct {
	File   string // as given to NewReader
	Line   int    // from 1
	Column int    // of the first wrong byte, from 1
	What   string // is wrong
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.What)
}

// A Format is a text format of samples. The zero value is villas.human.
type Format uint8

const (
	Human    Format = iota // villas.human as VILLASnode 1.x writes it
	Human03                // villas.human as VILLASnode 0.3 wrote it
	CSV                    // comma-separated
	TSV                    // tab-separated
	JSON                   // JSON lines
	nFormats = iota
)

var formatNames = [nFormats]string{"villas.human", "villas.human-0.3", "csv", "tsv", "json"}

func (f Format) String() string { return formatNames[f] }

// Names are the names of all formats.
func Names() []string { return formatNames[:] }

// ByName finds a format by its name; "human" is villas.human.
func ByName(name string) (Format, error) {
	if name == "human" {
		return Human, nil
	}
	for f, n := range formatNames {
		if n == name {
			return Format(f), nil
		}
	}
	return 0, fmt.Errorf("there is no format %q: it must be one of %s", name, strings.Join(formatNames[:], ", "))
}

// ByPath finds the format that files with the ending of path have, if it is a
// known one.
func ByPath(path string) (Format, bool) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".villas":
		return Human, true
	case ".csv":
		return CSV, true
	case ".tsv":
		return TSV, true
	case ".json", ".jsonl", ".ndjson":
		return JSON, true
	}
	return 0, false
}

// A codec is one format's lines. A reader and a writer never share one.
type codec interface {
	// parse parses a line, without its end, into rec, which is empty, or returns
	// the column, from 0, and what is wrong there.
	parse(text []byte, rec *Record) (column int, what string)
	// header looks at a line that is no sample, or stands first, and reports
	// whether it is no sample; then names are what it calls the columns, if it does.
	header(text []byte, first bool) (signals []Signal, is bool)
	// appendHeader appends a header line, if the format has one.
	appendHeader(b []byte, signals []Signal, rec *Record) []byte
	// append appends rec as a line.
	append(b []byte, rec *Record) []byte
}

func (f Format) codec() codec {
	switch f {
	case Human, Human03:
		return human{old: f == Human03}
	case CSV:
		return &separated{by: ','}
	case TSV:
		return &separated{by: '\t'}
	case JSON:
		return jsonLines{}
	}
	panic("format: no such Format")
}

// bufferSize is how much readers and writers move at once, in bytes.
const bufferSize = 64 << 10

// NewReader reads samples in this format from r, which errors call name.
func (f Format) NewReader(name string, r io.Reader) Reader {
	return &reader{codec: f.codec(), name: name, r: bufio.NewReaderSize(r, bufferSize)}
}

type reader struct {
	codec
	name    string
	r       *bufio.Reader
	long    []byte // a line that does not fit r's buffer
	line    int
	begun   bool // a sample or a header was seen
	signals []Signal
}

func (r *reader) Line() int         { return r.line }
func (r *reader) Signals() []Signal { return r.signals }

// next returns the next line without its end, valid until the next call.
func (r *reader) next() ([]byte, error) {
	text, err := r.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		r.long = r.long[:0]
		for err == bufio.ErrBufferFull {
			r.long = append(r.long, text...)
			text, err = r.r.ReadSlice('\n')
		}
		r.long = append(r.long, text...)
		text = r.long
	}
	switch {
	case err == io.EOF && len(text) == 0:
		return nil, err
	case err != nil && err != io.EOF:
		return nil, fmt.Errorf("%s:%d: %w", r.name, r.line+1, err)
	}
	if r.line++; r.line == 1 {
		text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	}
	return bytes.TrimRight(text, "\r\n"), nil
}

func (r *reader) Read(rec *Record) error {
	for {
		text, err := r.next()
		if err != nil {
			return err
		}
		if len(bytes.TrimLeft(text, " \t")) == 0 {
			continue
		}
		if text[0] == '#' || !r.begun {
			if signals, is := r.header(text, !r.begun); is {
				if signals != nil {
					r.signals, r.begun = signals, true
				}
				continue
			}
		}
		r.begun = true
		*rec = Record{Values: rec.Values[:0]}
		if column, what := r.parse(text, rec); what != "" {
			return &SyntaxError{r.name, r.line, column + 1, what}
		}
		return nil
	}
}

// NewWriter writes samples in this format to w.
func (f Format) NewWriter(w io.Writer, o WriterOptions) Writer {
	return &writer{codec: f.codec(), w: w, o: o, buf: make([]byte, 0, bufferSize)}
}

type writer struct {
	codec
	w     io.Writer
	o     WriterOptions
	buf   []byte
	begun bool
}

func (w *writer) Write(rec *Record) error {
	if !w.begun {
		w.begun = true
		if !w.o.NoHeader {
			w.buf = w.appendHeader(w.buf, w.names(len(rec.Values)), rec)
		}
	}
	w.buf = w.append(w.buf, rec)
	if len(w.buf) >= bufferSize {
		return w.Flush()
	}
	return nil
}

// names are the names of n columns.
func (w *writer) names(n int) []Signal {
	names := make([]Signal, n)
	copy(names, w.o.Signals)
	for i := range names {
		if names[i].Name == "" {
			names[i].Name = fmt.Sprintf("signal%d", i)
		}
	}
	return names
}

func (w *writer) Flush() error {
	_, err := w.w.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// Skip reads from r and steps over malformed lines, each of which it reports.
func Skip(r Reader, report func(*SyntaxError)) Reader { return skipper{r, report} }

type skipper struct {
	Reader
	report func(*SyntaxError)
}

func (s skipper) Read(rec *Record) error {
	for {
		err := s.Reader.Read(rec)
		if err == nil {
			return nil
		}
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			return err
		}
		s.report(syntax)
	}
}

// parseSignal takes a header's NAME[unit] apart.
func parseSignal(text string) Signal {
	text = strings.TrimSpace(text)
	if open := strings.LastIndexByte(text, '['); open > 0 && strings.HasSuffix(text, "]") {
		return Signal{text[:open], text[open+1 : len(text)-1]}
	}
	return Signal{Name: text}
}

// String is NAME[unit] or NAME, as a header has it.
func (s Signal) String() string {
	if s.Unit == "" {
		return s.Name
	}
	return s.Name + "[" + s.Unit + "]"
}
