package shopify

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
)

const (
	maxRecord   = 1 << 20
	maxVariants = 2048
	maxImages   = 250
)

// Reader reads products from a file.
type Reader struct {
	csv      *csv.Reader
	limit    *limited
	header   header
	currency currencyUnit
	rows     int

	next *row    // read, and not yet part of a product
	bad  *BadRow // read, and not yet told
	end  error   // why there is no next
}

// NewReader reads the header. currency is the ISO 4217 code of the prices, which the format doesn't say.
func NewReader(r io.Reader, currency string) (*Reader, error) {
	unit, err := parseCurrency(currency)
	if err != nil {
		return nil, err
	}
	limit := &limited{r: bufio.NewReader(r)}
	if err := limit.skipMark(); err != nil {
		return nil, err
	}
	c := csv.NewReader(limit)
	c.FieldsPerRecord = -1 // a short row lacks its last columns
	rd := &Reader{csv: c, limit: limit, currency: unit}
	limit.begin()
	record, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	if rd.header, err = parseHeader(record); err != nil {
		return nil, err
	}
	return rd, nil
}

// Rows returns how many rows have been read, the header not counted.
func (r *Reader) Rows() int { return r.rows }

// Next returns the next product; a *BadRow for one that can't be read, after which the next call goes on; io.EOF at the end; any other
// error when the file can't be read on.
func (r *Reader) Next() (*Item, error) {
	first, err := r.take()
	if err != nil {
		return nil, err
	}
	handle := first.get(colHandle)
	if handle == "" {
		return nil, first.bad("the row has no handle")
	}
	b := &builder{currency: r.currency, item: Item{Line: first.line}}
	b.first(*first)
	for b.add(*first); ; b.add(*first) {
		if first, err = r.take(); err != nil {
			var bad *BadRow
			if errors.As(err, &bad) { // told next; nobody knows whose row it was
				r.bad = bad
			} else if !errors.Is(err, io.EOF) {
				return nil, err
			}
			return b.done()
		}
		if first.get(colHandle) != handle {
			r.next = first
			return b.done()
		}
	}
}

// take returns the row that was put back, or the next one of the file.
func (r *Reader) take() (*row, error) {
	if n := r.next; n != nil {
		r.next = nil
		return n, nil
	}
	if bad := r.bad; bad != nil {
		r.bad = nil
		return nil, bad
	}
	if r.end != nil {
		return nil, r.end
	}
	r.limit.begin()
	record, err := r.csv.Read()
	var parse *csv.ParseError
	switch {
	case errors.Is(err, errTooLong):
		r.end = fmt.Errorf("line %d: a record is longer than %d bytes: is a quote not closed?", r.line(), maxRecord)
		return nil, r.end
	case errors.As(err, &parse):
		r.rows++
		return nil, &BadRow{Line: parse.StartLine, Reason: "not CSV: " + parse.Err.Error()}
	case err != nil:
		r.end = err
		return nil, err
	}
	r.rows++
	line, _ := r.csv.FieldPos(0)
	return &row{header: r.header, fields: record, line: line}, nil
}

func (r *Reader) line() int {
	return r.rows + 2 // of rows without line breaks in them: csv can't tell before the record ends
}

var errTooLong = errors.New("record too long")

// limited fails when a record takes more than maxRecord bytes: csv would read an open quote into memory to the end of the file.
type limited struct {
	r    *bufio.Reader
	left int
}

func (l *limited) begin() { l.left = maxRecord }

// Read implements io.Reader. It hands out little at a time, so that what csv has read ahead is little too.
func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLong
	}
	n, err := l.r.Read(p[:min(len(p), 4096, l.left)])
	l.left -= n
	return n, err
}

// skipMark skips a UTF-8 byte order mark.
func (l *limited) skipMark() error {
	mark := []byte("\xef\xbb\xbf")
	head, err := l.r.Peek(len(mark))
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the file: %w", err)
	}
	if bytes.Equal(head, mark) {
		_, err := l.r.Discard(len(mark))
		return err
	}
	return nil
}
