package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/outbox"
)

// cleaveEvents runs `cleave events` in this process.
func cleaveEvents(args ...string) (code int, stdout, stderr string) {
	var out, talk bytes.Buffer
	code = Run(Env{Args: append([]string{"events"}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk})
	return code, out.String(), talk.String()
}

// dying is a consumer that gives up whatever comes until it is mended.
func dying(t *testing.T, url string) (got <-chan string, mend func()) {
	t.Helper()
	b, err := events.NewJetStream(events.JetStreamConfig{URL: url, Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Disconnect(); err != nil {
			t.Error(err)
		}
	})
	mended, seen := make(chan struct{}), make(chan string, 10)
	_, err = b.Subscribe("shop.test.v1.Made", func(e broker.Event) error {
		select {
		case <-mended:
			seen <- e.Message().Header[events.HeaderEventID]
			return nil
		default:
			return events.Permanent(errors.New("no such SKU"))
		}
	}, broker.Queue("cart"))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"e1", "e2", "e3"} {
		m := &broker.Message{Body: []byte("hunter2"), Header: map[string]string{events.HeaderEventID: id, outbox.HeaderKey: "order-" + id}}
		if err := b.Publish("shop.test.v1.Made", m); err != nil {
			t.Fatal(err)
		}
	}
	deadline, tick := time.After(30*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		if list, err := b.DeadLetters(t.Context(), 10); err == nil && len(list) == 3 {
			return seen, func() { close(mended) }
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the events don't die")
		}
	}
}

func TestDeadLetters(t *testing.T) {
	s, err := events.StartEmbedded(events.EmbeddedConfig{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	got, mend := dying(t, s.URL())
	at := []string{"--broker", s.URL()}
	list := func(args ...string) []letter {
		t.Helper()
		code, out, talk := cleaveEvents(slices.Concat([]string{"dead", "list", "-o", "json"}, args, at)...)
		var l []letter
		if err := json.Unmarshal([]byte(out), &l); err != nil || code != exitOK {
			t.Fatalf("exit code %d, %v: %s%s", code, err, out, talk)
		}
		if strings.Contains(out, "hunter2") {
			t.Errorf("what is in the event is shown: %s", out)
		}
		return l
	}

	all := list()
	if len(all) != 3 || all[0].EventID != "e1" || all[0].Key != "order-e1" || all[0].Group != "cart" || all[0].Reason != "no such SKU" || all[0].Attempts != 1 {
		t.Fatalf("listed %+v", all)
	}
	if l := list("--group", "nobody"); len(l) != 0 {
		t.Errorf("of nobody: %+v", l)
	}
	if l := list("--topic", "shop.test.v1.Made", "--limit", "2"); len(l) != 2 {
		t.Errorf("two of the topic: %+v", l)
	}
	code, out, _ := cleaveEvents(append([]string{"dead", "list"}, at...)...)
	if code != exitOK || !strings.HasPrefix(out, "ID  ") || !strings.Contains(out, "shop.test.v1.Made") || strings.Count(out, "\n") != 4 {
		t.Errorf("exit code %d:\n%s", code, out)
	}

	code, out, talk := cleaveEvents(append([]string{"dead", "drop", all[1].ID, "999"}, at...)...)
	if code != exitFailed || out != "dropped 1\n" || !strings.Contains(talk, "no dead letter 999") {
		t.Errorf("drop: exit code %d, %s%s", code, out, talk)
	}
	mend()
	code, out, talk = cleaveEvents(append([]string{"dead", "replay", "--all", "--group", "cart", "-o", "json"}, at...)...)
	if code != exitOK || !strings.Contains(out, `"replayed": 2`) {
		t.Errorf("replay: exit code %d, %s%s", code, out, talk)
	}
	for _, want := range []string{"e1", "e3"} {
		select {
		case id := <-got:
			if id != want {
				t.Errorf("replayed %s, want %s", id, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("nothing was replayed")
		}
	}
	if l := list(); len(l) != 0 {
		t.Errorf("left are %+v", l)
	}
	if code, _, talk := cleaveEvents(append([]string{"forget", "cart", "shop.test.v1.Made"}, at...)...); code != exitOK {
		t.Errorf("forget: exit code %d, %s", code, talk)
	}
}

func TestDeadLettersRefuse(t *testing.T) {
	for want, args := range map[string][]string{
		"which by their IDs":       {"dead", "replay"},
		"one of them":              {"dead", "drop", "1", "--all"},
		"must be positive":         {"dead", "list", "--limit", "0"},
		"no host with an embedded": {"dead", "list", "--data-dir", t.TempDir()},
		"accepts 2 arg":            {"forget", "cart"},
	} {
		if code, _, talk := cleaveEvents(args...); code != exitUsage || !strings.Contains(talk, want) {
			t.Errorf("%v: exit code %d, %s", args, code, talk)
		}
	}
	if code, _, _ := cleaveEvents("dead", "list", "--broker", "nats://127.0.0.1:1"); code != exitUnreachable {
		t.Errorf("nobody there: exit code %d", code)
	}
}
