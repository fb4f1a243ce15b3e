package main

import (
	"context"
	"flag"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

type x509Update struct {
	At      string              `json:"at"`
	SVIDs   []x509SVID          `json:"svids"`
	Bundles map[string][]string `json:"bundles"` // trust domain: serial numbers of its authorities
}

type x509SVID struct {
	ID       string   `json:"id"`
	Hint     string   `json:"hint"`
	Serial   string   `json:"serial"`
	NotAfter string   `json:"notAfter"`
	DNSNames []string `json:"dnsNames"`
	Chain    int      `json:"chain"` // certificates in it
}

func x509Command(flags *flag.FlagSet) func(context.Context, string) error {
	watch := flags.Int("watch", -1, "")
	return func(ctx context.Context, socket string) error {
		if *watch < 0 {
			update, err := workloadapi.FetchX509Context(ctx, address(socket))
			if err != nil {
				return err
			}
			print(newX509Update(update))
			return nil
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		watcher := &x509Watcher{left: *watch, enough: cancel}
		err := workloadapi.WatchX509Context(ctx, watcher, address(socket))
		if watcher.done {
			return nil
		}
		return err
	}
}

// x509Watcher prints updates and errors until it has seen enough of the first.
type x509Watcher struct {
	left   int
	enough context.CancelFunc
	done   bool
}

func (w *x509Watcher) OnX509ContextUpdate(update *workloadapi.X509Context) {
	if w.done {
		return
	}
	print(newX509Update(update))
	w.left--
	if w.left == 0 {
		w.done = true
		w.enough()
	}
}

func (w *x509Watcher) OnX509ContextWatchError(err error) {
	if !w.done {
		print(map[string]string{"at": stamp(time.Now()), "error": err.Error()})
	}
}

func newX509Update(from *workloadapi.X509Context) x509Update {
	update := x509Update{At: stamp(time.Now()), SVIDs: []x509SVID{}, Bundles: map[string][]string{}}
	for _, svid := range from.SVIDs {
		leaf := svid.Certificates[0]
		update.SVIDs = append(update.SVIDs, x509SVID{
			ID:       svid.ID.String(),
			Hint:     svid.Hint,
			Serial:   leaf.SerialNumber.Text(16),
			NotAfter: stamp(leaf.NotAfter),
			DNSNames: append([]string{}, leaf.DNSNames...),
			Chain:    len(svid.Certificates),
		})
	}
	for _, bundle := range from.Bundles.Bundles() {
		serials := []string{}
		for _, authority := range bundle.X509Authorities() {
			serials = append(serials, authority.SerialNumber.Text(16))
		}
		update.Bundles[bundle.TrustDomain().IDString()] = serials
	}
	return update
}
