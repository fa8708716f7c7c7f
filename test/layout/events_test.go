package layout

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/cleavehq/cleave/chassis/schema"
	cleavev1 "github.com/cleavehq/cleave/proto/cleave/v1"
	_ "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	_ "github.com/cleavehq/cleave/proto/shop/customer/v1"
	_ "github.com/cleavehq/cleave/proto/shop/fulfilment/v1"
	_ "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	_ "github.com/cleavehq/cleave/proto/shop/notification/v1"
	_ "github.com/cleavehq/cleave/proto/shop/order/v1"
	_ "github.com/cleavehq/cleave/proto/shop/payment/v1"
	_ "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	_ "github.com/cleavehq/cleave/proto/shop/webhook/v1"
)

// TestEveryTopicHasAContract: what an outbox takes is a message with a field event_id (outbox.Append), and each of them that has the time when it
// occurred says cleave.v1.event, under its own name, and is listed by the service that publishes it: else the edge would not know it.
func TestEveryTopicHasAContract(t *testing.T) {
	listed := map[protoreflect.FullName]bool{}
	var topics []protoreflect.MessageDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(fd protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(fd.Package()), "shop.") {
			return true
		}
		for i := range fd.Services().Len() {
			for _, name := range schema.EventNames(fd.Services().Get(i)) {
				if name.Parent() != fd.Package() {
					t.Errorf("%s publishes %s, which is another module's", fd.Services().Get(i).FullName(), name)
				}
				listed[name] = true
			}
		}
		for i := range fd.Messages().Len() {
			md := fd.Messages().Get(i)
			if md.Fields().ByName("event_id") != nil && md.Fields().ByName("occurred_at") != nil {
				topics = append(topics, md)
			}
		}
		return true
	})
	if len(topics) < 15 {
		t.Fatalf("%d topics only", len(topics))
	}
	for _, md := range topics {
		e, _ := proto.GetExtension(md.Options(), cleavev1.E_Event).(*cleavev1.Event)
		switch {
		case e == nil || e.GetTopic() != string(md.FullName()):
			t.Errorf("%s: cleave.v1.event is missing, or names another topic than chassis/events publishes on: %v", md.FullName(), e)
		case e.GetPublic() && len(e.GetScopes()) > 0:
			t.Errorf("%s: public and scopes exclude each other", md.FullName())
		case !listed[md.FullName()]:
			t.Errorf("%s: no service lists it in cleave.v1.events", md.FullName())
		}
		for i := range md.Fields().Len() {
			if f := md.Fields().Get(i); e.GetExpose() && strings.HasSuffix(string(f.Name()), "_token") {
				t.Errorf("%s is offered at the edge, with the secret %s", md.FullName(), f.Name())
			}
		}
		delete(listed, md.FullName())
	}
	for name := range listed {
		t.Errorf("%s is listed, and is no event", name)
	}
	published := string(run(t, "git", "grep", "-hoE", `&[a-z]+v1\.[A-Za-z]+\{(EventId: [^,]*, )?OccurredAt`, "--", "services"))
	for line := range strings.Lines(published) {
		_, name, _ := strings.Cut(line[:strings.IndexByte(line, '{')], ".")
		if !slices.ContainsFunc(topics, func(md protoreflect.MessageDescriptor) bool { return string(md.Name()) == name }) {
			t.Errorf("services publish %s, which is no event", name)
		}
	}
}
