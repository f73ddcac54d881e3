// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

func parseYAML(file string, text []byte) (*Value, error) {
	y := &yamlTree{file: file, anchors: map[string]*Value{}}
	tree, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax yaml.Error
		if errors.As(err, &syntax) && syntax.GetToken() != nil {
			return nil, errorAt(y.at(syntax.GetToken()), "%s", syntax.GetMessage())
		}
		return nil, errorAt(Pos{file, 1, 1}, "%v", err)
	}
	root := &Value{Pos: Pos{file, 1, 1}, Kind: Group}
	begun := false
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		if begun {
			return nil, errorAt(y.at(doc.Body.GetToken()), "there must be one document in the file")
		}
		begun = true
		if root, err = y.value(doc.Body, 0); err != nil {
			return nil, err
		}
	}
	return root, nil
}

// yamlTree turns the syntax tree of a document into ours. An alias is the very
// value of its anchor: a small file cannot grow by aliases of aliases.
type yamlTree struct {
	file    string
	anchors map[string]*Value
}

func (y *yamlTree) at(t *token.Token) Pos {
	if t == nil || t.Position == nil {
		return Pos{y.file, 1, 1}
	}
	return Pos{y.file, t.Position.Line, t.Position.Column}
}

func (y *yamlTree) value(n ast.Node, depth int) (*Value, error) {
	v := &Value{Pos: y.at(n.GetToken())}
	if depth > maxDepth {
		return nil, errorAt(v.Pos, "nested deeper than %d levels", maxDepth)
	}
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.BoolNode:
		v.Kind, v.Bool = Bool, n.Value
	case *ast.StringNode:
		v.Kind, v.Text = String, n.Value
	case *ast.LiteralNode:
		v.Kind, v.Text = String, n.Value.Value
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		v.Kind, v.Text = Float, n.GetToken().Value
	case *ast.IntegerNode:
		v.Kind, v.Text = Int, n.GetToken().Value
		switch i := n.Value.(type) {
		case int64:
			v.Int = i
		case uint64:
			v.Int, v.TooLarge = int64(i), i > 1<<63-1
		default:
			v.TooLarge = true
		}
	case *ast.MappingNode:
		v.Kind = Group
		return v, y.group(v, n.Values, depth)
	case *ast.MappingValueNode:
		v.Kind = Group
		v.Pos = y.at(n.Key.GetToken())
		return v, y.group(v, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		v.Kind = List
		for _, e := range n.Values {
			inner, err := y.value(e, depth+1)
			if err != nil {
				return nil, err
			}
			v.Elements = append(v.Elements, inner)
		}
	case *ast.AnchorNode:
		inner, err := y.value(n.Value, depth+1)
		if err == nil {
			y.anchors[n.Name.String()] = inner
		}
		return inner, err
	case *ast.AliasNode:
		inner := y.anchors[n.Value.String()]
		if inner == nil {
			return nil, errorAt(v.Pos, "there is no anchor &%s before it", n.Value)
		}
		return inner, nil
	case *ast.TagNode:
		inner, err := y.value(n.Value, depth+1)
		if err == nil && n.Start.Value == "!!str" && inner.Text != "" {
			inner.Kind = String
		}
		return inner, err
	default:
		return nil, errorAt(v.Pos, "unexpected %s", strings.ToLower(fmt.Sprint(n.Type())))
	}
	return v, nil
}

// group adds the settings of a mapping to v. Those of a merge key (<<) give way to
// the mapping's own.
func (y *yamlTree) group(v *Value, entries []*ast.MappingValueNode, depth int) error {
	var merged []Setting
	for _, e := range entries {
		inner, err := y.value(e.Value, depth+1)
		if err != nil {
			return err
		}
		at := y.at(e.Key.GetToken())
		if !e.Key.IsMergeKey() {
			v.Settings = append(v.Settings, Setting{at, y.name(e.Key), inner})
			continue
		}
		bases := inner.Elements
		if inner.Kind == Group {
			bases = []*Value{inner}
		}
		for _, b := range bases {
			if b.Kind != Group {
				return errorAt(at, "<< must lead to a mapping, is %v", b.Kind)
			}
			merged = append(merged, b.Settings...)
		}
	}
	for _, s := range merged {
		if _, has := v.Get(s.Name); !has {
			v.Settings = append(v.Settings, s)
		}
	}
	return nil
}

// name is the text of a key.
func (y *yamlTree) name(key ast.MapKeyNode) string {
	if s, ok := key.(*ast.StringNode); ok {
		return s.Value
	}
	return key.GetToken().Value
}
