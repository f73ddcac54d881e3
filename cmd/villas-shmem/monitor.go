// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/NimbleMarkets/ntcharts/canvas"
	"github.com/NimbleMarkets/ntcharts/canvas/graph"
	"github.com/NimbleMarkets/ntcharts/linechart"
	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/spf13/cobra"
	"github.com/villas-ext/villas-ext/format"
	"golang.org/x/term"
)

func monitorCommand() *cobra.Command {
	span := 5 * time.Second
	var kinds kindOptions
	c := &cobra.Command{
		Use:   "monitor NAME",
		Short: "Watch a region live: fill, rates, and the values as charts",
		Long: `Shows on a terminal, 10 times a second, how full the queues and the pool are, how many samples a second go through, and
the values of the samples as scrolling charts, one for each direction. Like info it only reads: it takes no samples and
disturbs nobody. Samples that went through between two looks are shown as far as they can still be found, at most 512.

Keys: q quit, space pause, + and - a longer and a shorter time, left and right other values, tab one direction or both.

A region that is made anew under the name is found again. NAME may be one object of a pair, or OWN,OTHER for both.`,
		Example: `  villas-shmem monitor /villas1
  villas-shmem monitor /b,/a --out-signals 4f2i`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !term.IsTerminal(int(os.Stdout.Fd())) {
				return wrongUse("monitor needs a terminal; `villas-shmem info --json %s` does not", args[0])
			}
			in, out, err := kinds.parse()
			if err != nil {
				return err
			}
			look := func() (onlooker, error) { return look(args[0], in, out) }
			o, err := look()
			if err != nil {
				return err
			}
			m := &monitor{name: args[0], open: look, span: span}
			m.attach(o)
			_, err = tea.NewProgram(m, tea.WithAltScreen(), tea.WithContext(cmd.Context()), tea.WithoutSignalHandler()).Run()
			if cmd.Context().Err() != nil {
				err = context.Canceled
			}
			return err
		},
	}
	c.Flags().DurationVar(&span, "span", span, "time that the charts show")
	kinds.flags(c)
	return c
}

const (
	lookPeriod   = 100 * time.Millisecond
	mostPerLook  = 512
	mostSpan     = time.Minute
	leastSpan    = time.Second
	shownValues  = 6 // in a chart
	gaugeWidth   = 20
	ratePeriod   = time.Second
	chartLeastH  = 6
	clearlyWiden = 0.05 // of a chart's range, above and below
)

// colours of the values in a chart.
var colours = [shownValues]lipgloss.Style{
	lipgloss.NewStyle().Foreground(lipgloss.Color("10")), lipgloss.NewStyle().Foreground(lipgloss.Color("14")),
	lipgloss.NewStyle().Foreground(lipgloss.Color("11")), lipgloss.NewStyle().Foreground(lipgloss.Color("13")),
	lipgloss.NewStyle().Foreground(lipgloss.Color("12")), lipgloss.NewStyle().Foreground(lipgloss.Color("9")),
}

var (
	bold = lipgloss.NewStyle().Bold(true)
	dim  = lipgloss.NewStyle().Faint(true)
)

// monitor is the state of the view.
type monitor struct {
	name    string
	open    func() (onlooker, error)
	o       onlooker // nil while there is no region
	picture *picture
	err     error
	now     time.Time // of the latest look
	tracks  []track   // by direction

	span          time.Duration
	paused        bool
	only          int // the direction that is shown alone; as many as there are: all
	firstValue    int
	width, height int
}

// A track is what is known of a direction.
type track struct {
	looked time.Time
	next   uint64 // position of the next sample to look for
	points []point
	last   format.Record
	seen   bool
	marks  []mark // of the last ratePeriod
}

type point struct {
	at     time.Time
	values []float64
}

type mark struct {
	at      time.Time
	written uint64
}

type tickMsg struct{}

func tick() tea.Cmd {
	return tea.Tick(lookPeriod, func(time.Time) tea.Msg { return tickMsg{} })
}

func (m *monitor) Init() tea.Cmd { return tick() }

// attach takes up a region, the first or one made anew.
func (m *monitor) attach(o onlooker) {
	m.o, m.tracks = o, nil
	m.look()
	m.only = len(m.tracks)
}

func (m *monitor) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tickMsg:
		if !m.paused {
			m.look()
		}
		return m, tick()
	case tea.KeyMsg:
		if msg.Type != tea.KeyRunes {
			return m, m.key(msg.String())
		}
		for _, r := range msg.Runes { // several at once, if they were typed fast
			if cmd := m.key(string(r)); cmd != nil {
				return m, cmd
			}
		}
	}
	return m, nil
}

func (m *monitor) key(key string) tea.Cmd {
	switch key {
	case "q", "esc", "ctrl+c":
		return tea.Quit
	case " ":
		m.paused = !m.paused
	case "+", "=":
		m.span = min(2*m.span, mostSpan)
	case "-":
		m.span = max(m.span/2, leastSpan)
	case "tab":
		m.only = (m.only + 1) % (len(m.tracks) + 1)
	case "right":
		m.firstValue += shownValues
	case "left":
		m.firstValue = max(0, m.firstValue-shownValues)
	}
	return nil
}

// look looks at the region once.
func (m *monitor) look() {
	if m.o != nil && !m.o.Current() {
		m.o.Close()
		m.o = nil
	}
	if m.o == nil {
		o, err := m.open()
		if m.err = err; err != nil {
			return
		}
		m.attach(o)
		return
	}
	p, err := m.o.Look()
	if m.err = err; err != nil {
		return
	}
	m.picture, m.now = p, time.Now()
	if m.tracks == nil {
		m.tracks = make([]track, len(p.directions))
		for i, d := range p.directions {
			m.tracks[i] = track{looked: m.now, next: d.written}
		}
	}
	for i := range m.tracks {
		m.follow(i)
	}
}

// follow takes up what was written in a direction since the last look. The samples are
// spread evenly over the time between the looks.
func (m *monitor) follow(i int) {
	t, now := &m.tracks[i], time.Now()
	t.marks = append(t.marks, mark{now, m.picture.directions[i].written})
	for len(t.marks) > 2 && now.Sub(t.marks[1].at) >= ratePeriod {
		t.marks = t.marks[1:]
	}
	since, fresh := t.next, []point(nil)
	next, err := m.o.Recent(i, since, mostPerLook, func(rec *format.Record) {
		values := make([]float64, len(rec.Values))
		for k, v := range rec.Values {
			values[k] = v.Float64()
		}
		fresh = append(fresh, point{values: values})
		t.last = *rec
		t.last.Values = append([]format.Value(nil), rec.Values...)
		t.seen = true
	})
	if err == nil {
		t.next = next
	}
	for k := range fresh {
		fresh[k].at = t.looked.Add(now.Sub(t.looked) * time.Duration(k+1) / time.Duration(len(fresh)))
	}
	t.looked = now
	t.points = append(t.points, fresh...)
	old := 0
	for old < len(t.points) && now.Sub(t.points[old].at) > mostSpan {
		old++
	}
	t.points = t.points[old:]
}

// rate is how many samples a second were written lately.
func (t *track) rate() float64 {
	if len(t.marks) < 2 {
		return 0
	}
	first, last := t.marks[0], t.marks[len(t.marks)-1]
	return float64(last.written-first.written) / last.at.Sub(first.at).Seconds()
}

func (m *monitor) View() string {
	if m.width == 0 {
		return ""
	}
	var lines []string
	add := func(text string) {
		lines = append(lines, lipgloss.NewStyle().MaxWidth(m.width).Render(text))
	}
	title := bold.Render(m.name)
	if m.paused {
		title += "  paused"
	}
	switch {
	case m.err != nil:
		add(title + "  " + m.err.Error())
	case m.picture != nil:
		add(title + "  " + m.picture.summary)
	}
	if m.picture != nil {
		for i, d := range m.picture.directions {
			add(fmt.Sprintf("%-11s %s  %10.1f samples/s %12d written", d.label, gauge(d.fill), m.tracks[i].rate(), d.written))
		}
		add(fmt.Sprintf("%-11s %s", "pool", gauge(m.picture.pool)))
	}
	var shown []int
	for i := range m.tracks {
		if m.only == len(m.tracks) && len(m.tracks[i].points) > 0 || m.only == i {
			shown = append(shown, i)
		}
	}
	for n, i := range shown {
		rest := m.height - len(lines) - 1
		height := rest/(len(shown)-n) - 1
		add(m.legend(i))
		if height >= chartLeastH {
			lines = append(lines, strings.Split(m.chart(&m.tracks[i], height), "\n")...)
		}
	}
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	add(dim.Render("q quit  space pause  +/- time  tab direction  left/right values"))
	return strings.Join(lines, "\n")
}

// gauge is a bar that is as full as f.
func gauge(f fill) string {
	full := 0
	if f.capacity > 0 {
		full = int(math.Ceil(float64(f.used) / float64(f.capacity) * gaugeWidth))
	}
	full = min(full, gaugeWidth)
	return fmt.Sprintf("%s%s %6d of %-6d", strings.Repeat("█", full), dim.Render(strings.Repeat("░", gaugeWidth-full)), f.used, f.capacity)
}

// legend tells the latest values of a direction, each in the colour of its line.
func (m *monitor) legend(i int) string {
	t := &m.tracks[i]
	text := bold.Render(m.picture.directions[i].label)
	if !t.seen {
		return text + "  nothing was written yet"
	}
	text += fmt.Sprintf("  sample %d:", t.last.Sequence)
	first, last := m.values(len(t.last.Values))
	for k := first; k < last; k++ {
		text += " " + colours[k-first].Render(fmt.Sprintf("%d: %-10.4g", k, t.last.Values[k].Float64()))
	}
	if n := len(t.last.Values); n > shownValues {
		text += dim.Render(fmt.Sprintf(" (of %d)", n))
	}
	return text
}

// values are the values of n that are shown.
func (m *monitor) values(n int) (first, last int) {
	if m.firstValue >= n {
		m.firstValue = max(0, (n-1)/shownValues*shownValues)
	}
	return m.firstValue, min(n, m.firstValue+shownValues)
}

// chart draws the values of the last span of time.
func (m *monitor) chart(t *track, height int) string {
	begin := m.now.Add(-m.span)
	points := t.points
	for len(points) > 0 && points[0].at.Before(begin) {
		points = points[1:]
	}
	first, last := m.values(len(t.last.Values))
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range points {
		for _, v := range p.values[min(first, len(p.values)):min(last, len(p.values))] {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if low > high {
		low, high = -1, 1
	}
	margin := (high - low) * clearlyWiden
	if margin == 0 {
		margin = max(math.Abs(high), 1)
	}
	low, high = low-margin, high+margin
	c := linechart.New(m.width, height, -m.span.Seconds(), 0, low, high, linechart.WithXYSteps(10, 2),
		linechart.WithXLabelFormatter(func(_ int, v float64) string { return fmt.Sprintf("%.3g s", v) }),
		linechart.WithYLabelFormatter(func(_ int, v float64) string { return fmt.Sprintf("%10.4g", v) }),
		linechart.WithStyles(dim, dim, lipgloss.NewStyle()))
	c.DrawXYAxisAndLabel()
	for k := first; k < last; k++ {
		grid := graph.NewBrailleGrid(c.GraphWidth(), c.GraphHeight(), -m.span.Seconds(), 0, low, high)
		var before canvas.Point
		drawn := false
		for _, p := range points {
			if k >= len(p.values) || math.IsNaN(p.values[k]) || math.IsInf(p.values[k], 0) {
				drawn = false
				continue
			}
			at := grid.GridPoint(canvas.Float64Point{X: p.at.Sub(m.now).Seconds(), Y: p.values[k]})
			switch {
			case !drawn:
				grid.Set(at)
			case at != before:
				for _, between := range graph.GetLinePoints(before, at) {
					grid.Set(between)
				}
			}
			before, drawn = at, true
		}
		graph.DrawBraillePatterns(&c.Canvas, canvas.Point{X: c.Origin().X + 1, Y: 0}, grid.BraillePatterns(), colours[k-first])
	}
	return c.View()
}
