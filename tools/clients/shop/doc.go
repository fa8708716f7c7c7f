// Package shop is where a test puts the clients that it generates, in a copy of this module.
package shop

import (
	_ "connectrpc.com/connect"           // of the generated clients
	_ "github.com/twitchtv/twirp"        // as well
	_ "google.golang.org/protobuf/proto" // and of their messages
)
