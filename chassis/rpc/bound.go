package rpc

import (
	"reflect"
	"unsafe"
)

// bounds tell how many bytes the messages of one generated type take at most on a wire, from the lengths of their strings and lists alone: a
// fraction of the work of proto.Size, which goes through every number. Nil ones know nothing. Where they don't know, they tell unknownSize.
type bounds struct {
	fixed int64     // of the fields that lie in the message itself
	texts []uintptr // where strings and bytes are: their headers both begin with an address and a length
	parts []part    // what else has its size elsewhere
}

// part is a field whose size is elsewhere.
type part struct {
	at   uintptr
	kind partKind
	of   *bounds // of messages
}

type partKind int

const (
	textPart     partKind = iota // a string or bytes
	optionalPart                 // a pointer to a string
	textsPart                    // a list of strings
	blobsPart                    // a list of bytes
	numbersPart                  // a list of numbers, truth values or enums
	messagePart                  // a pointer to one
	messagesPart                 // a list of pointers
	otherPart                    // a map, a oneof or extensions: unknown when there is one
)

const (
	// atMostNumber is the longest key and the longest number of protobuf's wire format; of a string or a message, the key and the length.
	atMostNumber = 5 + 10
	unknownSize  = 1 << 33 // more than any message
)

// boundsOf knows nothing of messages that aren't laid out as generated code with exported fields is.
func boundsOf(t reflect.Type, known map[reflect.Type]*bounds) *bounds {
	if b, ok := known[t]; ok {
		return b
	}
	b := &bounds{}
	known[t] = b // it may contain itself
	for i := range t.NumField() {
		f := t.Field(i)
		kind, of, ok := partOf(f, known)
		if !ok {
			*b = bounds{fixed: unknownSize}
			return b
		}
		b.fixed += atMostNumber
		switch {
		case kind == textPart:
			b.texts = append(b.texts, f.Offset)
		case kind > textPart:
			b.parts = append(b.parts, part{f.Offset, kind, of})
		}
	}
	return b
}

// partOf says what a field of a message is; the kind is negative for one with nothing elsewhere.
func partOf(f reflect.StructField, known map[reflect.Type]*bounds) (kind partKind, of *bounds, ok bool) {
	switch f.Name {
	case "state", "sizeCache":
		return -1, nil, true
	case "unknownFields":
		return textPart, nil, f.Type.Kind() == reflect.Slice
	case "extensionFields":
		return otherPart, nil, f.Type.Kind() == reflect.Map
	}
	if !f.IsExported() {
		return 0, nil, false
	}
	t := f.Type
	switch t.Kind() {
	case reflect.Bool, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return -1, nil, true
	case reflect.String:
		return textPart, nil, true
	case reflect.Map, reflect.Interface:
		return otherPart, nil, true
	case reflect.Pointer:
		switch t.Elem().Kind() {
		case reflect.Struct:
			return messagePart, boundsOf(t.Elem(), known), true
		case reflect.String:
			return optionalPart, nil, true
		default:
			return -1, nil, true
		}
	case reflect.Slice:
		switch t.Elem().Kind() {
		case reflect.Uint8:
			return textPart, nil, true
		case reflect.String:
			return textsPart, nil, true
		case reflect.Slice:
			return blobsPart, nil, true
		case reflect.Pointer:
			return messagesPart, boundsOf(t.Elem().Elem(), known), true
		default:
			return numbersPart, nil, true
		}
	default: // no field of a message has it
		return 0, nil, false
	}
}

// atMost is at least the size of the message at p, which is of the type that b was made for.
func (b *bounds) atMost(p unsafe.Pointer) int64 {
	if b == nil {
		return unknownSize
	}
	if p == nil {
		return 0
	}
	n := b.fixed
	for _, at := range b.texts {
		n += int64(len(*(*string)(unsafe.Add(p, at))))
	}
	for i := range b.parts {
		f := &b.parts[i]
		at := unsafe.Add(p, f.at)
		switch f.kind {
		case textPart: // among the texts
		case optionalPart:
			if s := *(**string)(at); s != nil {
				n += int64(len(*s))
			}
		case numbersPart:
			n += atMostNumber * int64(len(*(*[]byte)(at)))
		case textsPart:
			for _, s := range *(*[]string)(at) {
				n += atMostNumber + int64(len(s))
			}
		case blobsPart:
			for _, s := range *(*[][]byte)(at) {
				n += atMostNumber + int64(len(s))
			}
		case messagePart:
			n += f.of.atMost(*(*unsafe.Pointer)(at))
		case messagesPart:
			for _, m := range *(*[]unsafe.Pointer)(at) {
				n += atMostNumber + f.of.atMost(m)
			}
		case otherPart:
			if *(*unsafe.Pointer)(at) != nil {
				n += unknownSize
			}
		}
	}
	return n
}
