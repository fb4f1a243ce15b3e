package main

import (
	"context"
	"errors"
	"flag"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

type jwtSVID struct {
	ID       string         `json:"id"`
	Hint     string         `json:"hint"`
	Audience []string       `json:"audience"`
	Expiry   string         `json:"expiry"`
	Claims   map[string]any `json:"claims"`
	Token    string         `json:"token"`
}

func newJWTSVID(from *jwtsvid.SVID) jwtSVID {
	return jwtSVID{
		ID:       from.ID.String(),
		Hint:     from.Hint,
		Audience: from.Audience,
		Expiry:   stamp(from.Expiry),
		Claims:   from.Claims,
		Token:    from.Marshal(),
	}
}

func jwtCommand(flags *flag.FlagSet) func(context.Context, string) error {
	var audience list
	flags.Var(&audience, "audience", "")
	id := flags.String("id", "", "")
	return func(ctx context.Context, socket string) error {
		if len(audience) == 0 {
			return errors.New("-audience is missing")
		}
		params := jwtsvid.Params{Audience: audience[0], ExtraAudiences: audience[1:]}
		if *id != "" {
			subject, err := spiffeid.FromString(*id)
			if err != nil {
				return err
			}
			params.Subject = subject
		}
		svids, err := workloadapi.FetchJWTSVIDs(ctx, params, address(socket))
		if err != nil {
			return err
		}
		for _, svid := range svids {
			print(newJWTSVID(svid))
		}
		return nil
	}
}

func validateCommand(flags *flag.FlagSet) func(context.Context, string) error {
	audience := flags.String("audience", "", "")
	token := flags.String("token", "", "")
	local := flags.Bool("local", false, "")
	return func(ctx context.Context, socket string) error {
		var svid *jwtsvid.SVID
		var err error
		if *local {
			source, sourceErr := workloadapi.NewJWTSource(ctx, workloadapi.WithClientOptions(address(socket)))
			if sourceErr != nil {
				return sourceErr
			}
			defer source.Close()
			svid, err = jwtsvid.ParseAndValidate(*token, source, []string{*audience})
		} else {
			svid, err = workloadapi.ValidateJWTSVID(ctx, *token, *audience, address(socket))
		}
		if err != nil {
			return err
		}
		print(newJWTSVID(svid))
		return nil
	}
}
