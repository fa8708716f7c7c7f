package api

import (
	"net/http"
	"slices"
	"strings"
)

const (
	protocolHeader = "Sec-Websocket-Protocol"
	bearerProtocol = "cleave.bearer."
)

// withSocketToken moves the credential that a browser's page sends as a WebSocket's subprotocol to where everybody else's is: a page can set no
// header of a WebSocket. The page offers "cleave.v1", which is what is agreed on, and "cleave.bearer.TOKEN", which is never sent back. The address
// has no place for it: addresses are kept in logs.
func withSocketToken(r *http.Request) *http.Request {
	if !isUpgrade(r) || !slices.ContainsFunc(r.Header.Values(protocolHeader), func(v string) bool { return strings.Contains(v, bearerProtocol) }) {
		return r
	}
	out := *r
	out.Header = r.Header.Clone()
	var others []string
	for p := range strings.SplitSeq(strings.Join(r.Header.Values(protocolHeader), ","), ",") {
		p = strings.TrimSpace(p)
		if token, ok := strings.CutPrefix(p, bearerProtocol); ok {
			out.Header.Add("Authorization", "Bearer "+token)
		} else if p != "" {
			others = append(others, p)
		}
	}
	out.Header.Del(protocolHeader)
	if len(others) > 0 {
		out.Header.Set(protocolHeader, strings.Join(others, ", "))
	}
	return &out
}
