package transcode

import (
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cleavehq/cleave/api/internal/wirejson"
)

// maxAnswer is the most JSON that an answer has, in bytes. A message as large as a service may send has more only when it is nearly all
// empty messages, whose default values are written.
const maxAnswer = 64 << 20

// Codec is what is compiled of a contract: once, for all bindings of its methods. It is safe for concurrent use.
type Codec struct{ requests, answers *wirejson.Codec }

// NewCodec makes the Codec of a contract. types resolves google.protobuf.Any; may be nil.
func NewCodec(types *dynamicpb.Types) *Codec {
	resolver := (&Binding{Types: types}).resolver()
	return &Codec{
		requests: wirejson.New(wirejson.Options{Resolver: resolver, Depth: maxDepth}),
		answers:  wirejson.New(wirejson.Options{Resolver: resolver, EmitDefaultValues: true, MaxJSON: maxAnswer}),
	}
}

// compiled is what a binding makes of its codec when it is first used.
type compiled struct {
	codec    *Codec
	in, out  *wirejson.Type
	whole    *wirejson.Message // the body, when it is a message
	body     *wirejson.Message // likewise, in a field
	answer   *wirejson.Message
	answerOf *wirejson.Message // the response body, when it is a field with a message
}

// Share gives the binding the codec of its contract. Without one it makes its own. Call it before the binding is used.
func (b *Binding) Share(c *Codec) { b.codec = c }

func (b *Binding) compiled() *compiled {
	b.once.Do(func() {
		c := &compiled{codec: b.codec, in: wirejson.NewType(b.Input), out: wirejson.NewType(b.Output)}
		if c.codec == nil {
			c.codec = NewCodec(b.Types)
		}
		if b.Whole {
			c.whole = c.codec.requests.Message(b.Input)
		} else if b.Body != nil && isMessage(b.Body.last()) {
			c.body = c.codec.requests.Message(b.Body.last().Message())
		}
		c.answer = c.codec.answers.Message(b.Output)
		if b.ResponseBody != nil && isMessage(b.ResponseBody.last()) {
			c.answerOf = c.codec.answers.Message(b.ResponseBody.last().Message())
		}
		b.ready = c
	})
	return b.ready
}
