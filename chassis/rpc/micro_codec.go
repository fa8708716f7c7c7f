package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"

	"go-micro.dev/v4/codec"
	raw "go-micro.dev/v4/codec/bytes"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
)

// jsonCodec is protobuf JSON for proto messages. go-micro's own writes Go's field names and enums as numbers.
type jsonCodec struct{ conn io.ReadWriteCloser }

func newJSONCodec(c io.ReadWriteCloser) codec.Codec { return &jsonCodec{conn: c} }

func (c *jsonCodec) ReadHeader(*codec.Message, codec.MessageType) error { return nil }

func (c *jsonCodec) ReadBody(v any) error {
	body, err := io.ReadAll(c.conn)
	if err != nil || v == nil {
		return err
	}
	if m, ok := v.(proto.Message); ok {
		if len(bytes.TrimSpace(body)) == 0 {
			return nil
		}
		err = protojson.Unmarshal(body, m)
	} else {
		err = json.Unmarshal(body, v)
	}
	if err != nil {
		return problem.InvalidArgument("BAD_JSON", "the request is not the JSON of its message: %v", err).Micro("")
	}
	return nil
}

func (c *jsonCodec) Write(_ *codec.Message, v any) error {
	if v == nil {
		return nil
	}
	body, err := marshalJSON(v)
	if err != nil {
		return err
	}
	_, err = c.conn.Write(body)
	return err
}

func (c *jsonCodec) Close() error   { return c.conn.Close() }
func (c *jsonCodec) String() string { return "json" }

func marshalJSON(v any) ([]byte, error) {
	if m, ok := v.(proto.Message); ok {
		return protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	}
	return json.Marshal(v)
}

// encoded makes the messages of a stream ready to be sent. go-micro's server would encode each into one buffer, which the next overwrites
// before the first is written.
func encoded(next server.HandlerFunc) server.HandlerFunc {
	return func(ctx context.Context, req server.Request, rsp any) error {
		if stream, ok := rsp.(server.Stream); ok {
			rsp = &encodedStream{Stream: stream, json: strings.HasPrefix(req.ContentType(), "application/json")}
		}
		return next(ctx, req, rsp)
	}
}

type encodedStream struct {
	server.Stream
	json bool
}

func (s *encodedStream) Send(v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return s.Stream.Send(v)
	}
	marshal := proto.Marshal
	if s.json {
		marshal = func(m proto.Message) ([]byte, error) { return marshalJSON(m) }
	}
	b, err := marshal(m)
	if err != nil {
		return err
	}
	return s.Stream.Send(&raw.Frame{Data: b})
}
