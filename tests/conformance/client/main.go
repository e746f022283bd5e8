// Copyright (c) 2026, k8s_cluster.manager contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// A referee: Talos' own client library, told by JSON lines what to ask of whom. One request per line on stdin, one answer per line
// on stdout. It decides nothing: `run` knows what is to come back.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	configres "github.com/siderolabs/talos/pkg/machinery/resources/config"
	runtimeres "github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const patience = 10 * time.Second

// request is one line of stdin. Talosconfig "" means maintenance mode (no verification but the fingerprints).
type request struct {
	Op           string   `json:"op"`
	Endpoint     string   `json:"endpoint"`
	Talosconfig  string   `json:"talosconfig"`
	Fingerprints []string `json:"fingerprints"`
	Node         string   `json:"node"`
	Data         string   `json:"data"`
	Mode         int32    `json:"mode"`
	DryRun       bool     `json:"dry_run"`
	Member       uint64   `json:"member"`
	Local        bool     `json:"local"`
	ID           string   `json:"id"`
}

// answer is one line of stdout. Code is gRPC's name of the status.
type answer struct {
	Code   string `json:"code"`
	Text   string `json:"text"`
	Result any    `json:"result"`
}

type mode struct{}

func (mode) String() string        { return "cloud" }
func (mode) RequiresInstall() bool { return false }
func (mode) InContainer() bool     { return false }

func options(req request) ([]client.OptionFunc, error) {
	if req.Talosconfig == "" {
		config := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // maintenance mode

		var fingerprints []x509.Fingerprint

		for _, text := range req.Fingerprints {
			fingerprint, err := x509.ParseFingerprint(text)
			if err != nil {
				return nil, err
			}

			fingerprints = append(fingerprints, fingerprint)
		}

		if fingerprints != nil {
			config.VerifyConnection = x509.MatchSPKIFingerprints(fingerprints...)
		}

		return []client.OptionFunc{client.WithTLSConfig(config), client.WithEndpoints(req.Endpoint)}, nil
	}

	config, err := clientconfig.FromString(req.Talosconfig)
	if err != nil {
		return nil, err
	}

	return []client.OptionFunc{client.WithConfig(config), client.WithEndpoints(req.Endpoint)}, nil
}

// files lists a directory: the names, and the error of an entry that has one.
func files(ctx context.Context, c *client.Client, root string) (any, error) {
	stream, err := c.LS(ctx, &machine.ListRequest{Root: root})
	if err != nil {
		return nil, err
	}

	var found []string

	for {
		info, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return found, nil
		}

		if err != nil {
			return nil, err
		}

		found = append(found, info.RelativeName+info.Error)
	}
}

func kubernetes(ctx context.Context, c *client.Client) (any, error) {
	data, err := c.Kubeconfig(ctx)

	return string(data), err
}

func etcd(ctx context.Context, c *client.Client, req request) (any, error) {
	switch req.Op {
	case "members":
		return c.EtcdMemberList(ctx, &machine.EtcdMemberListRequest{QueryLocal: req.Local})
	case "status":
		return c.EtcdStatus(ctx)
	case "alarms":
		return c.EtcdAlarmList(ctx)
	case "forfeit":
		return c.EtcdForfeitLeadership(ctx, &machine.EtcdForfeitLeadershipRequest{})
	case "leave":
		return nil, c.EtcdLeaveCluster(ctx, &machine.EtcdLeaveClusterRequest{})
	case "remove":
		return nil, c.EtcdRemoveMemberByID(ctx, &machine.EtcdRemoveMemberByIDRequest{MemberId: req.Member})
	case "bootstrap":
		return nil, c.Bootstrap(ctx, &machine.BootstrapRequest{})
	default:
		return nil, fmt.Errorf("unknown op %q", req.Op)
	}
}

func resource(ctx context.Context, c *client.Client, req request) (any, error) {
	switch req.Op {
	case "config":
		res, err := safe.StateGet[*configres.MachineConfig](ctx, c.COSI, configres.NewMachineConfigWithID(nil, req.ID).Metadata())
		if err != nil {
			return nil, err
		}

		data, err := res.Provider().Bytes()

		return string(data), err
	case "stage":
		res, err := safe.StateGet[*runtimeres.MachineStatus](ctx, c.COSI, runtimeres.NewMachineStatus().Metadata())
		if err != nil {
			return nil, err
		}

		return map[string]any{"stage": res.TypedSpec().Stage.String(), "ready": res.TypedSpec().Status.Ready}, nil
	default:
		res, err := safe.StateGetByID[*configres.MachineType](ctx, c.COSI, configres.MachineTypeID)
		if err != nil {
			return nil, err
		}

		return res.MachineType().String(), nil
	}
}

func call(ctx context.Context, c *client.Client, req request) (any, error) {
	switch req.Op {
	case "version":
		return c.Version(ctx)
	case "hostname":
		return c.MachineClient.Hostname(ctx, nil)
	case "services":
		return c.ServiceList(ctx)
	case "reset":
		return nil, c.ResetGeneric(ctx, &machine.ResetRequest{})
	case "disks":
		return c.Disks(ctx)
	case "apply":
		return c.ApplyConfiguration(ctx, &machine.ApplyConfigurationRequest{
			Data: []byte(req.Data), Mode: machine.ApplyConfigurationRequest_Mode(req.Mode), DryRun: req.DryRun,
		})
	case "kubeconfig":
		return kubernetes(ctx, c)
	case "files":
		return files(ctx, c, req.ID)
	case "config", "stage", "type":
		return resource(ctx, c, req)
	default:
		return etcd(ctx, c, req)
	}
}

// validate asks Talos' loader and validation for their verdict on a configuration.
func validate(data string) (any, error) {
	provider, err := configloader.NewFromBytes([]byte(data))
	if err != nil {
		return nil, err
	}

	warnings, err := provider.Validate(mode{})

	return warnings, err
}

func handle(req request) (any, error) {
	if req.Op == "validate" {
		return validate(req.Data)
	}

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	opts, err := options(req)
	if err != nil {
		return nil, err
	}

	c, err := client.New(ctx, opts...)
	if err != nil {
		return nil, err
	}

	defer c.Close() //nolint:errcheck

	if req.Node != "" {
		ctx = client.WithNode(ctx, req.Node)
	}

	return call(ctx, c, req)
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(make([]byte, 1<<20), 1<<26)

	output := json.NewEncoder(os.Stdout)

	for input.Scan() {
		var req request

		if err := json.Unmarshal(input.Bytes(), &req); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}

		result, err := handle(req)
		reply := answer{Code: codes.OK.String(), Result: result}

		if err != nil {
			reply = answer{Code: status.Code(err).String(), Text: err.Error()}

			// COSI's client turns the status into an error of its own.
			if state.IsNotFoundError(err) {
				reply.Code = codes.NotFound.String()
			}
		}

		if err := output.Encode(reply); err != nil {
			os.Exit(1)
		}
	}
}
