// SPDX-License-Identifier: Apache-2.0

package queue

import "github.com/villas-ext/villas-ext/internal/word"

// This file is what an onlooker needs, who neither pushes nor pulls.

// Cells returns where the cells lie and how many bytes they take.
func (v *View) Cells() (addr uintptr, bytes uint64) { return v.cells, (v.mask + 1) * uint64(cellSize) }

// Positions returns how many elements have been pushed and pulled since the queue
// was made, those claimed at the moment included.
func (v *View) Positions() (pushed, pulled uint64) {
	return word.Load64(v.counter(Tail)), word.Load64(v.counter(Head))
}

// Cell returns where the cell of position pos lies, its sequence, and the address
// of the element in it, which may lead anywhere.
func (v *View) Cell(pos uint64) (addr uintptr, sequence uint64, element uintptr) {
	addr = v.cell(pos)
	return addr, word.Load64(addr), v.base + uintptr(word.Load64(addr+offData))
}

// CellSize is the size in bytes of a cell.
const CellSize = cellSize

// Published reports whether a cell's sequence says that the element of position
// pos is in it, waiting or pulled.
func (v *View) Published(pos, sequence uint64) bool {
	return sequence == pos+Head || sequence == pos+v.mask+1
}
