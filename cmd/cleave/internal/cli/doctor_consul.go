package cli

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// maxSkew is how far clocks may be apart. HTTP's Date has whole seconds.
const maxSkew = 2 * time.Second

const (
	whatConsul    = "Consul"
	mendACL       = "give the token of --consul-token-file rights: key_prefix \"cleave/\" write, service_prefix \"\" write, node_prefix \"\" read, agent_prefix \"\" read"
	mendClock     = "let both machines keep time by NTP: timedatectl set-ntp true, or chronyc makestep"
	oldestConsul  = 1 // major
	oldestConsul2 = 14
)

// registry looks at Consul, and says whether settings can be read from it; without Consul they are beside the data.
func (c *checkup) registry(ctx context.Context) bool {
	if c.s.Registry != registryConsul {
		c.goodf("registry", "mdns, domain %s: for one machine or one network", c.s.MDNS.Domain)
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	client, err := consulClient(c.s)
	if err != nil {
		c.badf(whatConsul, "say where it is with --consul-addr", "%v", err)
		return false
	}
	opts := (&api.QueryOptions{}).WithContext(ctx)
	leader, err := client.Status().LeaderWithQueryOptions(opts)
	if err != nil {
		c.badf(whatConsul, "start it (go -C consul tool consul agent -dev), or say where it is with --consul-addr", "no answer at %s: %v", c.s.Consul.Addr, err)
		return false
	}
	if leader == "" {
		c.badf(whatConsul, "bring back a majority of its servers: consul operator raft list-peers", "%s has no leader: nothing can be written", c.s.Consul.Addr)
		return false
	}
	c.version(client)
	if conf, err := consulConfig(c.s); err == nil {
		c.clock(ctx, conf.HttpClient, whatConsul, consulURL(c.s)+"/v1/status/leader")
	}
	if _, _, err := client.KV().List("cleave/", opts); err != nil {
		c.right("keys under cleave/ can't be read", err)
		return false
	}
	if _, _, err := client.Catalog().Services(opts); err != nil {
		c.right("services can't be read", err)
		return false
	}
	c.goodf(whatConsul, "answers at %s, led by %s; keys and services can be read", c.s.Consul.Addr, leader)
	return true
}

func (c *checkup) right(what string, err error) {
	var status api.StatusError
	if errors.As(err, &status) && status.Code == http.StatusForbidden {
		c.badf(whatConsul+" ACL", mendACL, "%s: %v", what, err)
		return
	}
	c.badf(whatConsul, "look into Consul's log", "%s: %v", what, err)
}

// version looks how old Consul is.
func (c *checkup) version(client *api.Client) {
	self, err := client.Agent().Self()
	if err != nil {
		c.right("the agent doesn't say what it is", err)
		return
	}
	text, _ := self["Config"]["Version"].(string)
	parts := strings.SplitN(text, ".", 3)
	if len(parts) < 2 {
		return
	}
	major, _ := strconv.Atoi(parts[0])
	minor, _ := strconv.Atoi(parts[1])
	if major < oldestConsul || major == oldestConsul && minor < oldestConsul2 {
		c.badf(whatConsul+" version", "update it", "it is %s; Cleave is tested with later ones than %d.%d", text, oldestConsul, oldestConsul2)
		return
	}
	c.goodf(whatConsul+" version", "%s", text)
}

// clock compares this machine's clock with the Date of an answer.
func (c *checkup) clock(ctx context.Context, by *http.Client, what, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	begin := c.a.now()
	rsp, err := by.Do(req)
	if err != nil {
		return // told elsewhere
	}
	_ = rsp.Body.Close()
	theirs, err := http.ParseTime(rsp.Header.Get("Date"))
	if err != nil {
		return
	}
	end := c.a.now()
	// It was written between begin and end, and says the second that had begun.
	ahead, behind := theirs.Sub(end), begin.Sub(theirs.Add(time.Second))
	if skew := max(ahead, behind); skew > maxSkew {
		way := "ahead of"
		if behind > ahead {
			way = "behind"
		}
		c.badf(what+" clock", mendClock, "its clock is about %v %s this one: expiries, leases and tokens go wrong", skew.Round(time.Second), way)
		return
	}
	c.goodf(what+" clock", "agrees with this one within %v", maxSkew+time.Second)
}

// now is the modules' clock.
func (a *app) now() time.Time {
	if a.env.Now != nil {
		return a.env.Now()
	}
	return time.Now()
}
