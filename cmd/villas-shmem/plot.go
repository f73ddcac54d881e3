// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/villas-ext/villas-ext/format"
	"github.com/villas-ext/villas-ext/internal/chart"
)

func plotCommand() *cobra.Command {
	var (
		p                     plotting
		formatName, out, size string
		skip                  bool
	)
	c := &cobra.Command{
		Use:   "plot FILE",
		Short: "Draw the samples of a file as a chart: PNG, SVG or PDF",
		Long: `Draws the signals of FILE, or of standard input if it is "-", over the time in seconds from the first sample.

Files of any size are drawn: of each stretch that falls on less than a pixel the extremes are kept.`,
		Example: `  villas-shmem plot samples.villas                                # to samples.png
  villas-shmem plot samples.csv -o chart.svg --signals 0,2-3,speed --from 0.5 --to 1.5
  villas-shmem gen --wave mixed --values 4 --limit 1000 --rate 1000 --fast | villas-shmem plot - -o mixed.png --size 1200x400`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				if out = strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0])) + ".png"; args[0] == "-" {
					out = "samples.png"
				}
			}
			switch p.Type = strings.TrimPrefix(strings.ToLower(filepath.Ext(out)), "."); {
			case out == "-":
				p.Type = "png"
			case p.Type != "png" && p.Type != "svg" && p.Type != "pdf":
				return wrongUse("%s: the name of the chart must end in .png, .svg or .pdf", out)
			}
			if n, err := fmt.Sscanf(size, "%dx%d", &p.Width, &p.Height); n != 2 || err != nil || p.Width < 100 || p.Height < 100 || p.Width > 20000 || p.Height > 20000 {
				return wrongUse("--size must be WIDTHxHEIGHT in pixels, 100 to 20000 each, is %q", size)
			}
			r, file, err := openSamples(cmd.Context(), args[0], formatName, skip)
			if err != nil {
				return err
			}
			defer file.Close()
			if err := p.read(file.Name(), r); err != nil {
				return err
			}
			if out == "-" {
				return chart.Draw(os.Stdout, p.chosen, p.Options)
			}
			to, err := os.Create(out)
			if err != nil {
				return err
			}
			return errors.Join(chart.Draw(to, p.chosen, p.Options), to.Close())
		},
	}
	f := c.Flags()
	f.StringVarP(&out, "out", "o", "", `chart to write, PNG, SVG or PDF by its ending, "-" for standard output (default FILE's name with .png)`)
	f.StringVar(&formatName, "format", "", "format of FILE (default by its name, else villas.human)")
	f.BoolVar(&skip, "skip-malformed", false, "report malformed lines and go on instead of failing")
	f.StringSliceVar(&p.signals, "signals", nil, "signals to draw, by number from 0, range or name (default all)")
	f.StringVar(&size, "size", "1000x500", "WIDTHxHEIGHT in pixels")
	f.StringVar(&p.Title, "title", "", "text above the chart")
	f.StringVar(&p.YLabel, "unit", "", "text beside the chart (default the unit that the file names, if all have the same)")
	f.Float64Var(&p.from, "from", 0, "draw from here on, seconds from the first sample")
	f.Float64Var(&p.to, "to", math.Inf(1), "draw up to here, seconds from the first sample")
	completeFormats(c, "format")
	return c
}

// plotting is a chart in the making.
type plotting struct {
	chart.Options
	signals  []string // asked for; empty: all
	from, to float64

	found  []bool          // by signals
	series []*chart.Series // by the number of the signal, nil where not asked for
	chosen []*chart.Series
	units  map[string]bool
}

// read collects what r has. Each signal's line is drawn to where its samples end.
func (p *plotting) read(name string, r format.Reader) error {
	p.found, p.units = make([]bool, len(p.signals)), map[string]bool{}
	var rec format.Record
	var first time.Time
	for begun := false; ; begun = true {
		if err := r.Read(&rec); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		origin := time.Unix(rec.Sec, rec.Nsec)
		if !begun {
			first = origin
			p.XLabel = "seconds since " + first.UTC().Format("2006-01-02 15:04:05.999999999 UTC")
		}
		p.meet(len(rec.Values), r.Signals())
		t := origin.Sub(first).Seconds()
		if t < p.from || t > p.to {
			continue
		}
		for i, v := range rec.Values {
			if s := p.series[i]; s != nil {
				s.Add(t, v.Float64())
			}
		}
	}
	for i, found := range p.found {
		if !found {
			return wrongUse("--signals: there is no %q among the %d signals, numbered from 0", p.signals[i], len(p.series))
		}
	}
	if len(p.series) == 0 {
		return fmt.Errorf("%s: there are no values to draw", name)
	}
	if p.YLabel == "" && len(p.units) == 1 {
		for p.YLabel = range p.units {
		}
	}
	return nil
}

// meet makes series for signals up to the nth where they are asked for.
func (p *plotting) meet(n int, names []format.Signal) {
	for i := len(p.series); i < n; i++ {
		signal := format.Signal{Name: fmt.Sprintf("signal%d", i)}
		if i < len(names) {
			signal = names[i]
		}
		p.series = append(p.series, nil)
		if !p.asked(i, signal.Name) {
			continue
		}
		s := &chart.Series{Name: signal.String()}
		p.series[i], p.chosen = s, append(p.chosen, s)
		p.units[signal.Unit] = true
	}
}

// asked reports whether signal i is to be drawn.
func (p *plotting) asked(i int, name string) (asked bool) {
	for k, s := range p.signals {
		first, last, isRange := strings.Cut(s, "-")
		if !isRange {
			last = first
		}
		low, err1 := strconv.Atoi(first)
		high, err2 := strconv.Atoi(last)
		if s == name || err1 == nil && err2 == nil && low <= i && i <= high {
			p.found[k], asked = true, true
		}
	}
	return asked || len(p.signals) == 0
}
