// SPDX-License-Identifier: Apache-2.0

// Command screen draws the picture of a terminal for the documentation: it turns
// what `tmux capture-pane -e -p` prints into SVG. Braille patterns and blocks are
// drawn as dots and boxes, so that no font can move a chart.
package main

import (
	"bufio"
	"fmt"
	"html"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A cell of the terminal in SVG's units.
const (
	cellW, cellH = 8.0, 17.0
	margin       = 12.0
	fontSize     = 13.0
)

// colours are those of the terminal, 0 to 15, then the usual one.
var colours = [...]string{
	"#1d1f21", "#cc6666", "#b5bd68", "#f0c674", "#81a2be", "#b294bb", "#8abeb7", "#c5c8c6",
	"#666666", "#ff7b72", "#7ee787", "#f2cc60", "#79c0ff", "#d2a8ff", "#56d4dd", "#ffffff", "#d4d4d4",
}

const usual = len(colours) - 1

// A pen is what select graphic rendition has set.
type pen struct {
	colour    int
	bold, dim bool
}

func (p pen) style() string {
	s := fmt.Sprintf(`fill="%s"`, colours[p.colour])
	if p.bold {
		s += ` font-weight="bold"`
	}
	if p.dim {
		s += ` opacity="0.6"`
	}
	return s
}

// set follows the parameters of a sequence ESC [ ... m.
func (p *pen) set(parameters string) {
	list := strings.Split(parameters, ";")
	for i := 0; i < len(list); i++ {
		n, _ := strconv.Atoi(list[i])
		switch {
		case n == 0:
			*p = pen{colour: usual}
		case n == 1:
			p.bold = true
		case n == 2:
			p.dim = true
		case n == 22:
			p.bold, p.dim = false, false
		case n >= 30 && n < 38:
			p.colour = n - 30
		case n >= 90 && n < 98:
			p.colour = n - 90 + 8
		case n == 38 && i+2 < len(list) && list[i+1] == "5":
			if c, _ := strconv.Atoi(list[i+2]); c < 16 {
				p.colour = c
			}
			i += 2
		case n == 39:
			p.colour = usual
		}
	}
}

var sequence = regexp.MustCompile(`\x1b\[([0-9;]*)m|\x0e|\x0f`)

func main() {
	b := &picture{dots: map[string]*strings.Builder{}}
	width, y, p := 0, margin, pen{colour: usual}
	for s := bufio.NewScanner(os.Stdin); s.Scan(); y += cellH {
		line, column := s.Text(), 0
		for line != "" {
			at := sequence.FindStringSubmatchIndex(line)
			text := line
			if at != nil {
				text = line[:at[0]]
			}
			column = b.draw(column, y, p, text)
			if at == nil {
				break
			}
			if at[2] >= 0 {
				p.set(line[at[2]:at[3]])
			}
			line = line[at[1]:]
		}
		width = max(width, column)
	}
	w, h := float64(width)*cellW+2*margin, y+margin
	fmt.Printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="monospace" font-size="%g">`+"\n", w, h, fontSize)
	fmt.Printf(`<rect width="%g" height="%g" rx="6" fill="%s"/>`+"\n%s", w, h, colours[0], b.rest.String())
	for _, style := range slices.Sorted(maps.Keys(b.dots)) {
		fmt.Printf("<path d=\"%s\" %s/>\n", b.dots[style], style)
	}
	fmt.Println("</svg>")
}

// picture is what has been drawn: all dots of a style are one path.
type picture struct {
	dots map[string]*strings.Builder
	rest strings.Builder
}

// draw draws text from the column on and returns the column behind it.
func (b *picture) draw(column int, y float64, p pen, text string) int {
	plain, from := []rune(nil), column
	flush := func() {
		if t := strings.TrimRight(string(plain), " "); t != "" {
			fmt.Fprintf(&b.rest, `<text x="%g" y="%g" textLength="%g" lengthAdjust="spacingAndGlyphs" xml:space="preserve" %s>%s</text>`+"\n",
				margin+float64(from)*cellW, y+fontSize, float64(len([]rune(t)))*cellW, p.style(), html.EscapeString(t))
		}
		plain, from = nil, column
	}
	for _, r := range text {
		x := margin + float64(column)*cellW
		switch {
		case r > 0x2800 && r <= 0x28ff:
			flush()
			b.braille(x, y, p, byte(r-0x2800))
		case r == '█' || r == '░':
			flush()
			if r == '░' {
				p = pen{colour: 8, dim: true}
			}
			b.path(p, "M%g %gh%gv%gh-%gz", x, y+3, cellW, cellH-5, cellW)
		case r == '│' || r == '└' || r == '─':
			flush()
			line := map[rune]string{'│': "M4 0V17", '└': "M4 0V8.5H8", '─': "M0 8.5H8"}[r]
			fmt.Fprintf(&b.rest, `<path transform="translate(%g %g)" d="%s" stroke="%s" fill="none"/>`+"\n", x, y, line, colours[8])
		default:
			if len(plain) == 0 {
				from = column
			}
			plain = append(plain, r)
		}
		column++
	}
	flush()
	return column
}

// path adds to the path of a style.
func (b *picture) path(p pen, format string, args ...any) {
	if b.dots[p.style()] == nil {
		b.dots[p.style()] = new(strings.Builder)
	}
	fmt.Fprintf(b.dots[p.style()], format, args...)
}

// braille draws a pattern: bit i is dot i+1 of the cell.
func (b *picture) braille(x, y float64, p pen, pattern byte) {
	for i, at := range [8][2]float64{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}, {0, 3}, {1, 3}} {
		if pattern>>i&1 == 1 {
			b.path(p, "M%g %gh3v3h-3z", x+0.5+4*at[0], y+0.5+4*at[1])
		}
	}
}
