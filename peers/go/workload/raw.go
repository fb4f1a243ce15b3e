package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// received is one message of a call: its size and the sizes of its fields, no contents but names and hints.
type received struct {
	At      string         `json:"at"`
	Bytes   int            `json:"bytes"`
	Message map[string]any `json:"message"`
}

type ended struct {
	At   string `json:"at"`
	Code string `json:"code"`
	Text string `json:"text"`
}

// A receiver gives the next message of a call.
type receiver func() (proto.Message, error)

func rawCommand(flags *flag.FlagSet) func(context.Context, string) error {
	call := flags.String("call", "FetchX509SVID", "")
	audience := flags.String("audience", "audience", "")
	token := flags.String("token", "", "")
	id := flags.String("id", "", "")
	count := flags.Int("count", 0, "")
	header := list{}
	flags.Var(&header, "header", "")
	return func(ctx context.Context, socket string) error {
		connection, err := grpc.NewClient(socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		defer connection.Close()
		values := header
		if len(values) == 0 {
			values = list{"true"}
		}
		for _, value := range values {
			if value != "none" {
				ctx = metadata.AppendToOutgoingContext(ctx, "workload.spiffe.io", value)
			}
		}
		requests := requests{*audience, *token, *id}
		receive, err := requests.start(ctx, *call, workload.NewSpiffeWorkloadAPIClient(connection))
		for n := 0; err == nil && (*count == 0 || n < *count); n++ {
			var message proto.Message
			if message, err = receive(); err == nil {
				print(received{stamp(time.Now()), proto.Size(message), sizes(message.ProtoReflect())})
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		end := status.Convert(err)
		print(ended{stamp(time.Now()), end.Code().String(), end.Message()})
		return nil
	}
}

type requests struct{ audience, token, id string }

func (r requests) start(ctx context.Context, call string, client workload.SpiffeWorkloadAPIClient) (receiver, error) {
	audiences := []string{}
	if r.audience != "" {
		audiences = strings.Split(r.audience, ",")
	}
	switch call {
	case "FetchX509SVID":
		stream, err := client.FetchX509SVID(ctx, &workload.X509SVIDRequest{})
		return streamed(stream), err
	case "FetchX509Bundles":
		stream, err := client.FetchX509Bundles(ctx, &workload.X509BundlesRequest{})
		return streamed(stream), err
	case "FetchJWTBundles":
		stream, err := client.FetchJWTBundles(ctx, &workload.JWTBundlesRequest{})
		return streamed(stream), err
	case "FetchWITSVID":
		stream, err := client.FetchWITSVID(ctx, &workload.WITSVIDRequest{})
		return streamed(stream), err
	case "FetchWITBundles":
		stream, err := client.FetchWITBundles(ctx, &workload.WITBundlesRequest{})
		return streamed(stream), err
	case "FetchJWTSVID":
		return once(client.FetchJWTSVID(ctx, &workload.JWTSVIDRequest{Audience: audiences, SpiffeId: r.id}))
	case "ValidateJWTSVID":
		return once(client.ValidateJWTSVID(ctx, &workload.ValidateJWTSVIDRequest{Audience: r.audience, Svid: r.token}))
	}
	return nil, fmt.Errorf("-call %q: no such call", call)
}

func streamed[T any, M interface {
	*T
	proto.Message
}](stream grpc.ServerStreamingClient[T]) receiver {
	return func() (proto.Message, error) {
		message, err := stream.Recv()
		return M(message), err
	}
}

func once(message proto.Message, err error) (receiver, error) {
	sent := false
	return func() (proto.Message, error) {
		if sent {
			return nil, io.EOF
		}
		sent = true
		return message, nil
	}, err
}

// sizes shows the fields that are there: texts that are names as they are, everything else by its length.
func sizes(message protoreflect.Message) map[string]any {
	fields := map[string]any{}
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		name := string(field.Name())
		switch {
		case field.IsMap():
			entries := map[string]any{}
			value.Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
				entries[key.String()] = one(field.MapValue(), value, false)
				return true
			})
			fields[name] = entries
		case field.IsList():
			items := []any{}
			for i := range value.List().Len() {
				items = append(items, one(field, value.List().Get(i), false))
			}
			fields[name] = items
		default:
			fields[name] = one(field, value, name == "spiffe_id" || name == "hint")
		}
		return true
	})
	return fields
}

func one(field protoreflect.FieldDescriptor, value protoreflect.Value, shown bool) any {
	switch field.Kind() {
	case protoreflect.MessageKind:
		return sizes(value.Message())
	case protoreflect.BytesKind:
		return len(value.Bytes())
	case protoreflect.StringKind:
		if shown {
			return value.String()
		}
		return len(value.String())
	default:
		return value.Interface()
	}
}
