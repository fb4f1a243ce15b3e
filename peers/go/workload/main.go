// Command workload is a workload on go-spiffe: it asks a Workload API who it is, and speaks TLS as that. What it learns
// it prints as JSON, one object a line.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

const usage = `usage: workload COMMAND -socket unix:///path [-timeout 10s] ...

  x509       [-watch N]                   its X.509-SVIDs and bundles; N updates of them (0: until it is ended)
  jwt        -audience A ... [-id ID]     its JWT-SVIDs
  validate   -audience A -token T [-local]  what a token says, judged by the agent, or here with the agent's bundles
  tls-server -authorize WHO               mutual TLS on 127.0.0.1: echoes lines, tells who its peers are
  tls-client -authorize WHO -connect A -line L   sends a line and prints what comes back
  raw        -call RPC [-header V ...]    the messages of one call as they come, sizes only, and the status it ends with

WHO is "any", a trust domain (spiffe://example.org) or an ID (spiffe://example.org/billing).
`

// A command has taken its flags from the set and is run with a context that ends with -timeout, if it has one.
type command func(flags *flag.FlagSet) func(ctx context.Context, socket string) error

var commands = map[string]command{
	"x509":       x509Command,
	"jwt":        jwtCommand,
	"validate":   validateCommand,
	"tls-server": tlsServerCommand,
	"tls-client": tlsClientCommand,
	"raw":        rawCommand,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	socket := flags.String("socket", os.Getenv("SPIFFE_ENDPOINT_SOCKET"), "")
	timeout := flags.Duration("timeout", 0, "")
	run := commands[os.Args[1]](flags)
	flags.Parse(os.Args[2:])

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *timeout)
		defer cancel()
	}
	if err := run(ctx, *socket); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func address(socket string) workloadapi.ClientOption { return workloadapi.WithAddr(socket) }

// stamp is a time as every line writes it.
func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

// list is a flag that may be given several times.
type list []string

func (l *list) String() string         { return fmt.Sprint(*l) }
func (l *list) Set(value string) error { *l = append(*l, value); return nil }

func print(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		panic(err) // every value that is printed is a type of this program
	}
	os.Stdout.Write(append(line, '\n'))
}
