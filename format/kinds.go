// SPDX-License-Identifier: Apache-2.0

package format

import (
	"fmt"
	"strings"
)

// Kinds are the kinds of the values of a sample, by their place.
type Kinds []Kind

// mostKinds bounds what [ParseKinds] makes of a text.
const mostKinds = 1 << 20

// ParseKinds parses kinds in VILLASnode's short form: 4f2i1b1c is four floats, two
// integers, a boolean and a complex number.
func ParseKinds(text string) (kinds Kinds, err error) {
	count, digits := 0, false
	for _, c := range text {
		kind := strings.IndexRune("fibc", c)
		switch {
		case c >= '0' && c <= '9' && count < mostKinds:
			count, digits = 10*count+int(c-'0'), true
			continue
		case kind < 0, digits && count == 0, len(kinds)+count > mostKinds:
			return nil, fmt.Errorf("kinds of values are written such as 4f2i1b1c (floats, integers, booleans, complex), not %q", text)
		case !digits:
			count = 1
		}
		for range count {
			kinds = append(kinds, Kind(kind))
		}
		count, digits = 0, false
	}
	if digits {
		return nil, fmt.Errorf("what are the last %d values of %q: f, i, b or c?", count, text)
	}
	return kinds, nil
}

// Of is the kind of value i: that of the last one beyond those in k, and unless where
// k is empty.
func (k Kinds) Of(i int, unless Kind) Kind {
	if len(k) == 0 {
		return unless
	}
	return k[min(i, len(k)-1)]
}
