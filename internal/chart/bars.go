// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"io"
	"math"
	"strconv"

	svg "github.com/ajstarks/svgo"
)

// Bars are positive values of very different sizes on a logarithmic scale: a bar
// each, from above down.
type Bars struct {
	Title string
	Bars  []Bar
	From  float64 // value that the bars begin at; 0: the left edge
}

// Bar is one of them.
type Bar struct {
	Name  string
	Value float64
	Limit float64 // a mark; a value beyond it stands out; 0: none
}

// Sizes in pixels.
const (
	row      = 22  // from one bar to the next
	nameRoom = 300 // left of the bars
	figure   = 70  // room for a value beside the longest
	heading  = 34  // the title's
)

// DrawBars draws charts of bars below each other, as SVG, width pixels wide.
func DrawBars(w io.Writer, width int, charts ...Bars) {
	height := row
	for _, b := range charts {
		height += b.height()
	}
	c := svg.New(w)
	c.Startview(width, height, 0, 0, width, height)
	c.Gstyle("font: 13px sans-serif")
	c.Rect(0, 0, width, height, "fill: white")
	top := 0
	for _, b := range charts {
		b.draw(c, width, top)
		top += b.height()
	}
	c.Gend()
	c.End()
}

func (b Bars) height() int { return heading + (len(b.Bars)+2)*row }

func (b Bars) draw(c *svg.SVG, width, top int) {
	low, high := b.limits()
	left, right := nameRoom+figure, width-figure
	x := func(v float64) int {
		return left + int(float64(right-left)*math.Log(v/low)/math.Log(high/low))
	}
	c.Text(width/2, top+heading-12, b.Title, "text-anchor: middle; font-weight: bold")
	top += heading
	bottom := top + len(b.Bars)*row
	for decade := math.Pow(10, math.Floor(math.Log10(low))); decade <= high; decade *= 10 {
		steps := []float64{1, 2, 5}
		if high/low > 2000 {
			steps = steps[:1]
		}
		for _, step := range steps {
			if v := step * decade; v >= low && v <= high {
				c.Line(x(v), top, x(v), bottom, "stroke: #ddd")
				c.Text(x(v), bottom+15, strconv.FormatFloat(v, 'f', -1, 64), "text-anchor: middle; fill: #555")
			}
		}
	}
	from := left
	if b.From > 0 {
		from = x(b.From)
		c.Line(from, top, from, bottom, "stroke: black")
	}
	for i, bar := range b.Bars {
		y, to, color := top+i*row, x(bar.Value), "#4878a8"
		if bar.Limit > 0 && bar.Value > bar.Limit {
			color = "#c44e52"
		}
		c.Text(nameRoom, y+row-7, bar.Name, "text-anchor: end")
		c.Rect(min(from, to), y+4, max(from, to)-min(from, to), row-8, "fill: "+color)
		if bar.Limit > 0 {
			c.Line(x(bar.Limit), y+1, x(bar.Limit), y+row-1, "stroke: black; stroke-width: 3")
		}
		if to < from {
			if bar.Limit > 0 {
				to = min(to, x(bar.Limit))
			}
			c.Text(to-5, y+row-7, threeDigits(bar.Value), "text-anchor: end")
		} else {
			c.Text(max(to, x(max(bar.Limit, low)))+5, y+row-7, threeDigits(bar.Value))
		}
	}
}

// limits are those of the scale.
func (b Bars) limits() (low, high float64) {
	low, high = math.Inf(1), b.From
	for _, bar := range b.Bars {
		low, high = min(low, bar.Value), max(high, bar.Value, bar.Limit)
		if bar.Limit > 0 {
			low = min(low, bar.Limit)
		}
	}
	if b.From > 0 {
		return min(low, b.From), high
	}
	return math.Pow(10, math.Floor(math.Log10(low))), high
}

// threeDigits writes v with three digits that count, without an exponent.
func threeDigits(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
