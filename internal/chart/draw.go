// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Options are options of [Draw].
type Options struct {
	Type           string // "png", "svg" or "pdf"
	Width, Height  int    // pixels, 96 of them an inch
	Title          string
	XLabel, YLabel string
}

// pixel is one in vg's points.
const pixel = vg.Inch / 96

var (
	border = vg.Points(6)
	gap    = vg.Points(12) // between chart and legend
	plain  = font.Font{Typeface: "Liberation", Variant: "Sans"}
)

// Draw draws series into one chart, with a legend beside it, and writes it to w.
func Draw(w io.Writer, series []*Series, o Options) error {
	canvas, err := draw.NewFormattedCanvas(vg.Length(o.Width)*pixel, vg.Length(o.Height)*pixel, o.Type)
	if err != nil {
		return err
	}
	c := draw.New(canvas)
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	c = draw.Crop(c, border, -border, border, -border)

	p, legend := plot.New(), plot.NewLegend()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = o.Title, o.XLabel, o.YLabel
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{}, ticks{}
	p.Title.Padding, legend.Padding = border, vg.Points(2)
	for _, style := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font,
		&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &legend.TextStyle.Font} {
		*style = font.From(plain, style.Size)
	}
	legend.Top, legend.Left = true, true
	p.Add(plotter.NewGrid())
	room := max(1, int(c.Size().Y/(legend.TextStyle.Height("0")+legend.Padding)))
	for i, s := range series {
		// Dashes tell lines apart where the colours begin again.
		style := draw.LineStyle{Color: plotutil.Color(i), Width: vg.Points(1), Dashes: plotutil.Dashes(i / len(plotutil.DefaultColors))}
		for _, line := range s.lines(o.Width) {
			if len(line) == 1 {
				p.Add(&plotter.Scatter{XYs: line, GlyphStyle: draw.GlyphStyle{Color: style.Color, Radius: style.Width, Shape: draw.CircleGlyph{}}})
			} else {
				p.Add(&plotter.Line{XYs: line, LineStyle: style})
			}
		}
		switch {
		case i < room-1 || len(series) <= room:
			legend.Add(s.Name, &plotter.Line{LineStyle: style})
		case i == room-1:
			legend.Add(fmt.Sprintf("and %d more", len(series)-i))
		}
	}
	beside := c.Size().X - legend.Rectangle(c).Size().X
	p.Draw(draw.Crop(c, 0, beside-gap-c.Size().X, 0, 0))
	legend.Draw(draw.Crop(c, beside, 0, 0, 0))
	_, err = canvas.WriteTo(w)
	return err
}

// ticks are multiples of 1, 2 or 5 times a power of ten, about seven, with
// others between them that bear no label. (plot.DefaultTicks are about three.)
type ticks struct{}

func (ticks) Ticks(low, high float64) (marks []plot.Tick) {
	exponent := math.Floor(math.Log10((high - low) / 7))
	factor, parts := 1.0, 5.0
	switch rest := (high - low) / 7 / math.Pow(10, exponent); {
	case rest > 7:
		exponent++
	case rest > 3.5:
		factor = 5
	case rest > 1.5:
		factor, parts = 2, 4
	}
	step := factor * math.Pow(10, exponent)
	first := math.Ceil(low / step * parts)
	for i := range 100 { // the numbers themselves may be too large to count by
		n := first + float64(i)
		tick := plot.Tick{Value: n / parts * step}
		if tick.Value > high {
			break
		}
		if math.Mod(n, parts) == 0 {
			tick.Label = label(tick.Value, int(exponent))
		}
		marks = append(marks, tick)
	}
	return marks
}

// label is v to the digit that stands for ten to the exponent.
func label(v float64, exponent int) string {
	if v == 0 {
		return "0"
	}
	if text := strconv.FormatFloat(v, 'f', max(0, -exponent), 64); len(text) < 10 {
		return text
	}
	return strconv.FormatFloat(v, 'e', max(0, int(math.Floor(math.Log10(math.Abs(v))))-exponent), 64)
}
