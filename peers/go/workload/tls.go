package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// authorizer reads WHO: "any", a trust domain, or an ID.
func authorizer(who string) (tlsconfig.Authorizer, error) {
	if who == "any" {
		return tlsconfig.AuthorizeAny(), nil
	}
	id, err := spiffeid.FromString(who)
	if err != nil {
		return nil, fmt.Errorf("-authorize %q: %w", who, err)
	}
	if id.Path() == "" {
		return tlsconfig.AuthorizeMemberOf(id.TrustDomain()), nil
	}
	return tlsconfig.AuthorizeID(id), nil
}

// party is one side of a connection: who it is, and who it speaks with.
func party(ctx context.Context, socket, who string) (*workloadapi.X509Source, tlsconfig.Authorizer, error) {
	authorize, err := authorizer(who)
	if err != nil {
		return nil, nil, err
	}
	source, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(address(socket)))
	return source, authorize, err
}

// event is one line of the server, and the only one of the client.
type event struct {
	Listening string `json:"listening,omitempty"`
	Peer      string `json:"peer,omitempty"`
	Protocol  string `json:"protocol,omitempty"`
	Serial    string `json:"serial,omitempty"` // of the peer's leaf
	Line      string `json:"line,omitempty"`
	Closed    string `json:"closed,omitempty"` // the peer that is gone
	Error     string `json:"error,omitempty"`
}

// peerOf is what a finished handshake tells.
func peerOf(connection *tls.Conn) event {
	state := connection.ConnectionState()
	seen := event{Protocol: tls.VersionName(state.Version)}
	if id, err := spiffetls.PeerIDFromConnectionState(state); err == nil {
		seen.Peer = id.String()
	}
	if len(state.PeerCertificates) > 0 {
		seen.Serial = state.PeerCertificates[0].SerialNumber.Text(16)
	}
	return seen
}

func tlsServerCommand(flags *flag.FlagSet) func(context.Context, string) error {
	who := flags.String("authorize", "", "")
	listen := flags.String("listen", "127.0.0.1:0", "")
	return func(ctx context.Context, socket string) error {
		source, authorize, err := party(ctx, socket, *who)
		if err != nil {
			return err
		}
		defer source.Close()
		listener, err := tls.Listen("tcp", *listen, tlsconfig.MTLSServerConfig(source, source, authorize))
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { listener.Close() })
		print(event{Listening: listener.Addr().String()})
		for {
			connection, err := listener.Accept()
			if err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			go echo(ctx, connection.(*tls.Conn))
		}
	}
}

// echo sends every line back. What goes wrong is printed: it is what a test wants to see.
func echo(ctx context.Context, connection *tls.Conn) {
	defer connection.Close()
	if err := connection.HandshakeContext(ctx); err != nil {
		print(event{Error: err.Error()})
		return
	}
	peer := peerOf(connection)
	print(peer)
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		print(event{Peer: peer.Peer, Line: lines.Text()})
		if _, err := fmt.Fprintln(connection, lines.Text()); err != nil {
			print(event{Peer: peer.Peer, Error: err.Error()})
			return
		}
	}
	if err := lines.Err(); err != nil {
		print(event{Peer: peer.Peer, Error: err.Error()})
		return
	}
	print(event{Closed: peer.Peer})
}

func tlsClientCommand(flags *flag.FlagSet) func(context.Context, string) error {
	who := flags.String("authorize", "", "")
	to := flags.String("connect", "", "")
	line := flags.String("line", "hello", "")
	return func(ctx context.Context, socket string) error {
		source, authorize, err := party(ctx, socket, *who)
		if err != nil {
			return err
		}
		defer source.Close()
		answer, err := say(ctx, *to, *line, tlsconfig.MTLSClientConfig(source, source, authorize))
		if err != nil {
			answer.Error = err.Error()
			print(answer)
			return fmt.Errorf("no answer: %w", err)
		}
		print(answer)
		return nil
	}
}

// say connects, sends the line and waits for one. In TLS 1.3 a client hears only then that it was refused.
func say(ctx context.Context, to, line string, config *tls.Config) (event, error) {
	dialer := tls.Dialer{NetDialer: &net.Dialer{}, Config: config}
	dialed, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		return event{}, err
	}
	defer dialed.Close()
	context.AfterFunc(ctx, func() { dialed.Close() })
	answer := peerOf(dialed.(*tls.Conn))
	if _, err := fmt.Fprintln(dialed, line); err != nil {
		return answer, err
	}
	back, err := bufio.NewReader(dialed).ReadString('\n')
	answer.Line = strings.TrimSuffix(back, "\n")
	return answer, err
}
