package api

import (
	"net/http"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cleavehq/cleave/api/internal/compress"
	"github.com/cleavehq/cleave/chassis/authn"
)

// sendJSON sends the answer of a unary call, compressed when the client takes that and it is worth it.
func (x *exchange) sendJSON(e *endpoint, body []byte) {
	coding := compress.Identity
	if len(body) >= compress.From && x.mayCompress(e) {
		h := x.w.Header()
		h["Vary"] = append(h["Vary"], "Accept-Encoding")
		if c := x.coding(); c != compress.Identity {
			if short, ok := x.g.encoder.Encode(c, body); ok {
				body, coding = short, c
			}
		}
	}
	x.send(jsonType, body, coding)
}

// send sends a whole answer.
func (x *exchange) send(media string, body []byte, coding compress.Coding) {
	if coding != compress.Identity {
		x.header("Content-Encoding", string(coding))
	}
	x.header("Content-Type", media)
	x.header("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(http.StatusOK)
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write(body) // the client may be gone
	}
}

// coding is what the client takes most.
func (x *exchange) coding() compress.Coding {
	v := x.r.Header["Accept-Encoding"]
	if len(v) != 1 {
		return compress.Identity // none; or several lines, which nobody sends
	}
	return compress.Choose(v[0], compress.Zstd, compress.Gzip)
}

// mayCompress says whether an answer may be compressed. One that has a secret may not, beside what a client has sent: its length would tell of the
// secret to whoever chooses the rest (BREACH). Which fields are secret the contract says, by debug_redact. And nothing is compressed for whom a
// certificate names: a browser shows it for every page that asks, as it does a cookie, which this gateway takes none of.
func (x *exchange) mayCompress(e *endpoint) bool {
	return !e.secret && x.who.Kind != authn.KindCertificate
}

// secretive says whether a message has a field that must not be shown.
func secretive(md protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[md.FullName()] {
		return false
	}
	seen[md.FullName()] = true
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if o, ok := fd.Options().(*descriptorpb.FieldOptions); ok && o.GetDebugRedact() {
			return true
		}
		if fd.Message() != nil && secretive(fd.Message(), seen) {
			return true
		}
	}
	return false
}
