// SPDX-License-Identifier: Apache-2.0

package format

import (
	"bytes"
	"strconv"
	"strings"
)

// human is villas.human, VILLASnode's text format of samples, as 0.3 and 1.x
// write it:
//
//	SECONDS.NANOSECONDS[+OFFSET|-OFFSET][(SEQUENCE)][F] VALUE VALUE ...
//
// The part behind the point is an integer count of nanoseconds. Lines that start
// with '#' and empty lines are skipped; 1.x names the columns in one.
type human struct{ old bool }

func (human) parse(line []byte, rec *Record) (column int, what string) {
	begin := 0
	for isBlank(line[begin]) { // the line as a whole is not
		begin++
	}
	head := line[:wordEnd(line, begin)]
	var ok bool
	at := begin
	if rec.Sec, at, ok = parseInt(head, begin); !ok {
		return begin, "seconds must be an integer"
	}
	if at < len(head) && head[at] == '.' {
		point := at
		if rec.Nsec, at, ok = parseNsec(head, at+1); !ok {
			return point + 1, "nanoseconds must be 0 to 999999999"
		}
	}
	if at < len(head) && (head[at] == '+' || head[at] == '-') {
		end := at + 1
		for end < len(head) && head[end] != '(' && head[end] != 'F' {
			end++
		}
		if rec.Offset, ok = parseSeconds(head[at:end]); !ok {
			return at, "the offset must be a number of seconds, up to 292 years"
		}
		rec.HasOffset, at = true, end
	}
	if at < len(head) && head[at] == '(' {
		size := bytes.IndexByte(head[at:], ')')
		n, err := strconv.ParseUint(text(head[at+1:at+max(size, 1)]), 10, 64)
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
		return at, "unexpected " + clip(head[at:]) + " behind the time"
	}
	for at < len(line) {
		if isBlank(line[at]) {
			at++
			continue
		}
		end := wordEnd(line, at)
		v, ok := parseValue(line[at:end])
		if !ok {
			return at, badValue(rec, line[at:end])
		}
		rec.Values = append(rec.Values, v)
		at = end
	}
	return 0, ""
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' }

// wordEnd is where the word that begins at at ends.
func wordEnd(line []byte, at int) int {
	for at < len(line) && !isBlank(line[at]) {
		at++
	}
	return at
}

func (human) header(line []byte, first bool) (signals []Signal, is bool) {
	if line[0] != '#' {
		return nil, false
	}
	if !first || !bytes.HasPrefix(line, []byte("# seconds")) {
		return nil, true
	}
	for _, name := range strings.Split(string(line), "\t")[1:] {
		signals = append(signals, parseSignal(name))
	}
	return signals, true
}

func (h human) appendHeader(b []byte, signals []Signal, rec *Record) []byte {
	if h.old {
		return b
	}
	b = append(b, "# seconds.nanoseconds"...)
	if rec.HasOffset {
		b = append(b, "+offset"...)
	}
	if rec.HasSequence {
		b = append(b, "(sequence)"...)
	}
	for _, s := range signals {
		b = append(b, '\t')
		b = append(b, strings.Map(unbroken, s.String())...)
	}
	return append(b, '\n')
}

// unbroken keeps a name within its column.
func unbroken(r rune) rune {
	if r < ' ' {
		return ' '
	}
	return r
}

func (h human) append(b []byte, rec *Record) []byte {
	b = strconv.AppendInt(b, rec.Sec, 10)
	b = append(b, '.')
	b = appendPadded(b, uint64(rec.Nsec), 9)
	if rec.HasOffset {
		b = appendExponent(b, rec.Offset)
	}
	if rec.HasSequence {
		b = append(b, '(')
		b = strconv.AppendUint(b, rec.Sequence, 10)
		b = append(b, ')')
	}
	if rec.NewFrame && !h.old {
		b = append(b, 'F')
	}
	for _, v := range rec.Values {
		b = append(b, '\t')
		if h.old && v.kind == KindFloat {
			b = appendFixed(b, v.Float64(), decimals03)
		} else {
			b = appendValue(b, v)
		}
	}
	return append(b, '\n')
}
