// Package shop is where a test puts the client that it generates (`go build -overlay`).
package shop

import (
	_ "github.com/oapi-codegen/runtime" // of the generated client
)
