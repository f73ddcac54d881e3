// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Table is results under the names of their columns.
type Table struct {
	Columns []string
	Results []Result
}

// Row is the strings of one result: what, a figure a column, and ratio, spread
// and target where any result of the table has one.
func (t *Table) row(r Result) []string {
	cells := []string{r.What}
	for _, c := range t.Columns {
		if s, ok := r.By[c]; ok {
			cells = append(cells, figure(s.Median))
		} else {
			cells = append(cells, "")
		}
	}
	if !t.hasRatios() {
		return cells
	}
	if r.Ratio == nil {
		return append(cells, "", "", "")
	}
	cells = append(cells, fmt.Sprintf("%.2f", r.Ratio.Median), fmt.Sprintf("%.2f to %.2f", r.Ratio.Low, r.Ratio.High))
	switch {
	case r.Target == 0:
		return append(cells, "")
	case r.Ratio.Median <= r.Target:
		return append(cells, fmt.Sprintf("%v", r.Target))
	}
	return append(cells, fmt.Sprintf("%v, MISSED", r.Target))
}

func (t *Table) hasRatios() bool {
	return slices.ContainsFunc(t.Results, func(r Result) bool { return r.Ratio != nil })
}

func (t *Table) head(group string) []string {
	cells := append([]string{group}, t.Columns...)
	if t.hasRatios() {
		cells = append(cells, "ratio", "of the runs", "at most")
	}
	return cells
}

// figure writes a number with three digits that count.
func figure(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "-"
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// writeText writes t for a terminal, a block a group.
func (t *Table) writeText(w io.Writer) {
	t.blocks(func(head []string, rows [][]string) {
		widths := make([]int, len(head))
		for _, r := range append([][]string{head}, rows...) {
			for i, c := range r {
				widths[i] = max(widths[i], utf8.RuneCountInString(c))
			}
		}
		for _, r := range append([][]string{head}, rows...) {
			line := fmt.Sprintf("%-*s", widths[0], r[0])
			for i, c := range r[1:] {
				line += fmt.Sprintf("  %*s", widths[i+1], c)
			}
			fmt.Fprintln(w, strings.TrimRight(line, " "))
		}
		fmt.Fprintln(w)
	})
}

// writeMarkdown writes t for a document.
func (t *Table) writeMarkdown(w io.Writer) {
	t.blocks(func(head []string, rows [][]string) {
		fmt.Fprintf(w, "| %s |\n| --- |%s\n", strings.Join(head, " | "), strings.Repeat(" ---: |", len(head)-1))
		for _, r := range rows {
			fmt.Fprintf(w, "| %s |\n", strings.Join(r, " | "))
		}
		fmt.Fprintln(w)
	})
}

// blocks calls write with head and rows of each group.
func (t *Table) blocks(write func(head []string, rows [][]string)) {
	for i := 0; i < len(t.Results); {
		group, rows := t.Results[i].Group, [][]string(nil)
		for ; i < len(t.Results) && t.Results[i].Group == group; i++ {
			rows = append(rows, t.row(t.Results[i]))
		}
		write(t.head(group), rows)
	}
}

// Report is what was measured, and where.
type Report struct {
	Machine Machine
	Tables  []Table
	Missing []string // what could not be measured, and why
}

// WriteText writes r for a terminal.
func (r *Report) WriteText(w io.Writer) { r.write(w, (*Table).writeText, "") }

// WriteMarkdown writes r for a document.
func (r *Report) WriteMarkdown(w io.Writer) { r.write(w, (*Table).writeMarkdown, "- ") }

func (r *Report) write(w io.Writer, table func(*Table, io.Writer), item string) {
	fmt.Fprintf(w, "%v.\n\n", r.Machine)
	if t := r.targets(); len(t.Results) > 0 {
		table(&t, w)
	}
	for i := range r.Tables {
		table(&r.Tables[i], w)
	}
	for _, m := range r.Missing {
		fmt.Fprintf(w, "%snot measured: %s\n", item, m)
	}
}

// targets is a table of all that has one.
func (r *Report) targets() (t Table) {
	for _, all := range r.Tables {
		for _, result := range all.Results {
			if result.Target != 0 {
				result.Group = "target"
				t.Results = append(t.Results, result)
			}
		}
	}
	return t
}

// WriteJSON writes r for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	doc := struct {
		Machine Machine  `json:"machine"`
		Results []Result `json:"results"`
		Missing []string `json:"missing,omitempty"`
	}{Machine: r.Machine, Missing: r.Missing}
	for _, t := range r.Tables {
		doc.Results = append(doc.Results, t.Results...)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	return e.Encode(doc)
}
