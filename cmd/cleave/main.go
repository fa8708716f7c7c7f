// Command cleave runs Cleave and speaks to it: `cleave help` says what it can do.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/cleavehq/cleave/cmd/cleave/internal/cli"
	"github.com/cleavehq/cleave/cmd/cleave/internal/laws"
)

func main() {
	list, err := modules()
	now, wrong := clock()
	if err = errors.Join(err, wrong); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "cleave:", err)
		os.Exit(cli.ExitUsage)
	}
	os.Exit(cli.Run(cli.Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Modules: list, Laws: laws.All(), Books: books(), Now: now,
	}))
}
