// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/xml"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestBarsStayInsideTheirChart(t *testing.T) {
	var out strings.Builder
	const width = 900
	DrawBars(&out, width,
		Bars{Title: "a < b", From: 1, Bars: []Bar{{"small & fine", 0.03, 0.2}, {"at its limit", 1, 1}, {"beyond", 3, 2}}},
		Bars{Title: "times", Bars: []Bar{{"short", 94, 0}, {"long", 1.4e6, 0}}})
	for d := xml.NewDecoder(strings.NewReader(out.String())); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	bars := regexp.MustCompile(`<rect x="(-?\d+)" y="-?\d+" width="(-?\d+)"`).FindAllStringSubmatch(out.String(), -1)
	if len(bars) != 1+5 {
		t.Fatalf("%d rectangles", len(bars))
	}
	for _, b := range bars[1:] {
		x, _ := strconv.Atoi(b[1])
		w, _ := strconv.Atoi(b[2])
		if x < nameRoom || w < 0 || x+w > width {
			t.Errorf("a bar from %d, %d wide", x, w)
		}
	}
	if n := strings.Count(out.String(), "#c44e52"); n != 1 {
		t.Errorf("%d of the bars stand out, not the one beyond its limit", n)
	}
}
