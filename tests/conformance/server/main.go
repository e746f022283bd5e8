// Copyright (c) 2026, k8s_cluster.manager contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// A referee: a server on Talos' own API package and COSI's own resource server, over Ed25519 TLS. It answers every call of the
// collection's client with fixed content and writes one JSON line per call on stdout: what came in and went out, as bytes and decoded.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	cosiserver "github.com/cosi-project/runtime/pkg/state/protobuf/server"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	configres "github.com/siderolabs/talos/pkg/machinery/resources/config"
	runtimeres "github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	maxMessage   = 32 << 20
	firstMember  = 0xdeadbeefcafef00d
	secondMember = 7
)

// settings is the one line on stdin. ClientCA "" means maintenance mode.
type settings struct {
	Address  string `json:"address"`
	Crt      string `json:"crt"`
	Key      string `json:"key"`
	ClientCA string `json:"client_ca"`
	Config   string `json:"config"`
}

// exchange is one line of stdout.
type exchange struct {
	Method  string          `json:"method"`
	Node    []string        `json:"node"`
	Request string          `json:"request"`
	Decoded json.RawMessage `json:"decoded"`
	Reply   string          `json:"reply"`
	Code    string          `json:"code"`
	Text    string          `json:"text"`
}

type server struct {
	machine.UnimplementedMachineServiceServer
}

func (server) ApplyConfiguration(_ context.Context, in *machine.ApplyConfigurationRequest) (*machine.ApplyConfigurationResponse, error) {
	if _, err := configloader.NewFromBytes(in.GetData()); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}

	if in.DryRun {
		return &machine.ApplyConfigurationResponse{Messages: []*machine.ApplyConfiguration{{
			Mode: machine.ApplyConfigurationRequest_REBOOT, ModeDetails: "Dry run summary:\nApplied configuration with a reboot (skipped in dry-run).\n",
		}}}, nil
	}

	return &machine.ApplyConfigurationResponse{Messages: []*machine.ApplyConfiguration{{
		Warnings: []string{"first warning", "second warning"}, Mode: in.Mode, ModeDetails: "Applied configuration without a reboot",
	}}}, nil
}

func (server) Version(context.Context, *emptypb.Empty) (*machine.VersionResponse, error) {
	return &machine.VersionResponse{Messages: []*machine.Version{{
		Version:  &machine.VersionInfo{Tag: "v1.13.9", Sha: "3ebd10a7", Os: "linux", Arch: "amd64"},
		Platform: &machine.PlatformInfo{Name: "aws", Mode: "cloud"},
		Features: &machine.FeaturesInfo{Rbac: true},
	}}}, nil
}

func (server) EtcdMemberList(context.Context, *machine.EtcdMemberListRequest) (*machine.EtcdMemberListResponse, error) {
	return &machine.EtcdMemberListResponse{Messages: []*machine.EtcdMembers{{
		LegacyMembers: []string{"cp-1", ""},
		Members: []*machine.EtcdMember{
			{Id: firstMember, Hostname: "cp-1", PeerUrls: []string{"https://10.0.0.1:2380"}, ClientUrls: []string{"https://10.0.0.1:2379"}},
			{Id: secondMember, PeerUrls: []string{"https://[fd00::2]:2380"}, IsLearner: true},
		},
	}}}, nil
}

func (server) EtcdStatus(context.Context, *emptypb.Empty) (*machine.EtcdStatusResponse, error) {
	return &machine.EtcdStatusResponse{Messages: []*machine.EtcdStatus{{MemberStatus: &machine.EtcdMemberStatus{
		MemberId: firstMember, Leader: secondMember, DbSize: 1 << 40, RaftIndex: 1 << 63, RaftTerm: 3, RaftAppliedIndex: 1<<63 - 1,
		Errors: []string{"etcdserver: no leader"}, IsLearner: true, ProtocolVersion: "3.6.4", StorageVersion: "3.6.0",
	}}}}, nil
}

func (server) EtcdAlarmList(context.Context, *emptypb.Empty) (*machine.EtcdAlarmListResponse, error) {
	return &machine.EtcdAlarmListResponse{Messages: []*machine.EtcdAlarm{{MemberAlarms: []*machine.EtcdMemberAlarm{
		{MemberId: firstMember, Alarm: machine.EtcdMemberAlarm_NOSPACE}, {MemberId: firstMember, Alarm: machine.EtcdMemberAlarm_CORRUPT},
		{MemberId: secondMember, Alarm: machine.EtcdMemberAlarm_NONE},
	}}}}, nil
}

func (server) EtcdForfeitLeadership(context.Context, *machine.EtcdForfeitLeadershipRequest) (*machine.EtcdForfeitLeadershipResponse, error) {
	return &machine.EtcdForfeitLeadershipResponse{Messages: []*machine.EtcdForfeitLeadership{{Member: "cp-2"}}}, nil
}

func (server) EtcdLeaveCluster(context.Context, *machine.EtcdLeaveClusterRequest) (*machine.EtcdLeaveClusterResponse, error) {
	return &machine.EtcdLeaveClusterResponse{Messages: []*machine.EtcdLeaveCluster{{}}}, nil
}

func (server) EtcdRemoveMemberByID(_ context.Context, in *machine.EtcdRemoveMemberByIDRequest) (*machine.EtcdRemoveMemberByIDResponse, error) {
	switch in.MemberId {
	case firstMember:
		return &machine.EtcdRemoveMemberByIDResponse{Messages: []*machine.EtcdRemoveMemberByID{{}}}, nil
	case secondMember:
		return nil, fmt.Errorf("failed to remove member: etcdserver: unhealthy cluster")
	default:
		return nil, status.Error(codes.NotFound, "etcdserver: member not found")
	}
}

func (server) Reboot(context.Context, *machine.RebootRequest) (*machine.RebootResponse, error) {
	return &machine.RebootResponse{Messages: []*machine.Reboot{{ActorId: "6a0f2d5e-3a53-4b0d-9a0e-6f3f4c1f7b11"}}}, nil
}

func (server) Read(_ *machine.ReadRequest, stream machine.MachineService_ReadServer) error {
	return firstError(
		stream.Send(&common.Data{Bytes: []byte("0e1c1b0a-5c0e-4f5f-")}),
		stream.Send(&common.Data{Bytes: []byte("8f0b-1d2c3b4a5968\n")}),
	)
}

func (server) Bootstrap(context.Context, *machine.BootstrapRequest) (*machine.BootstrapResponse, error) {
	return &machine.BootstrapResponse{Messages: []*machine.Bootstrap{{}}}, nil
}

// Kubeconfig packs as Talos does: its tar writer is not closed.
func (server) Kubeconfig(_ *emptypb.Empty, stream machine.MachineService_KubeconfigServer) error {
	var packed bytes.Buffer

	content := []byte("apiVersion: v1\nkind: Config\n")
	zipped := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zipped)
	err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "kubeconfig", Size: int64(len(content)), Mode: 0o600})
	_, writeErr := archive.Write(content)

	return firstError(err, writeErr, zipped.Close(), stream.Send(&common.Data{Bytes: packed.Bytes()}))
}

func (server) List(in *machine.ListRequest, stream machine.MachineService_ListServer) error {
	for _, name := range []string{".", "member"} {
		if err := stream.Send(&machine.FileInfo{
			Name: in.Root + strings.TrimPrefix("/"+name, "/."), RelativeName: name, Size: 4096, Mode: 1<<31 | 0o700, IsDir: true,
		}); err != nil {
			return err
		}
	}

	return nil
}

func bytesOf(message any) string {
	if msg, ok := message.(proto.Message); ok && msg.ProtoReflect().IsValid() {
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(msg)
		if err == nil {
			return hex.EncodeToString(data)
		}
	}

	return ""
}

// journal writes one line at a time.
type journal struct {
	mu     sync.Mutex
	output *json.Encoder
}

func (j *journal) write(line exchange) error {
	j.mu.Lock()
	defer j.mu.Unlock()

	return j.output.Encode(line)
}

// recorded is a stream that keeps what passes: the request, and the replies joined by commas.
type recorded struct {
	grpc.ServerStream
	line exchange
	sent []string
}

func (r *recorded) RecvMsg(message any) error {
	err := r.ServerStream.RecvMsg(message)
	if err == nil {
		r.line.Request = bytesOf(message)
		r.line.Decoded, err = protojson.Marshal(message.(proto.Message)) //nolint:forcetypeassert
	}

	return err
}

func (r *recorded) SendMsg(message any) error {
	r.sent = append(r.sent, bytesOf(message))

	return r.ServerStream.SendMsg(message)
}

// streamRecorder writes an exchange per call that is answered with a stream.
func streamRecorder(lines *journal) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		md, _ := metadata.FromIncomingContext(stream.Context())
		kept := &recorded{ServerStream: stream, line: exchange{Method: info.FullMethod, Node: md.Get("node")}}
		err := handler(srv, kept)

		kept.line.Reply = strings.Join(kept.sent, ",")
		kept.line.Code, kept.line.Text = status.Code(err).String(), status.Convert(err).Message()

		return firstError(err, lines.write(kept.line))
	}
}

// recorder writes an exchange per unary call.
func recorder(lines *journal) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		decoded, _ := protojson.Marshal(req.(proto.Message)) //nolint:errcheck,forcetypeassert

		line := exchange{Method: info.FullMethod, Node: md.Get("node"), Request: bytesOf(req), Decoded: decoded}

		reply, err := handler(ctx, req)

		// Times would make every recording another one.
		if got, ok := reply.(*v1alpha1.GetResponse); ok && err == nil {
			got.Resource.Metadata.Created, got.Resource.Metadata.Updated = &timestamppb.Timestamp{}, &timestamppb.Timestamp{}
		}

		line.Code, line.Text = status.Code(err).String(), status.Convert(err).Message()

		if err == nil {
			line.Reply = bytesOf(reply)
		}

		return reply, firstError(err, lines.write(line))
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}

	return nil
}

// resources is a COSI state with what the client reads.
func resources(config string) (state.State, error) {
	st := state.WrapCore(namespaced.NewState(inmem.Build))

	provider, err := configloader.NewFromBytes([]byte(config))
	if err != nil {
		return nil, err
	}

	machineStatus := runtimeres.NewMachineStatus()
	machineStatus.TypedSpec().Stage = runtimeres.MachineStageBooting
	machineStatus.TypedSpec().Status = runtimeres.MachineStatusStatus{
		UnmetConditions: []runtimeres.UnmetCondition{{Name: "services", Reason: "etcd"}, {Name: "nodeReady", Reason: "not yet"}},
	}

	return st, firstError(st.Create(context.Background(), configres.NewMachineConfig(provider)), st.Create(context.Background(), machineStatus))
}

func credentialsOf(set settings) (credentials.TransportCredentials, error) {
	pair, err := tls.X509KeyPair([]byte(set.Crt), []byte(set.Key))
	if err != nil {
		return nil, err
	}

	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true}

	if set.ClientCA != "" {
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AppendCertsFromPEM([]byte(set.ClientCA))
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}

	return credentials.NewTLS(config), nil
}

func run() error {
	var set settings

	if err := json.NewDecoder(os.Stdin).Decode(&set); err != nil {
		return err
	}

	creds, err := credentialsOf(set)
	if err != nil {
		return err
	}

	st, err := resources(set.Config)
	if err != nil {
		return err
	}

	listener, err := net.Listen("tcp", set.Address)
	if err != nil {
		return err
	}

	lines := &journal{output: json.NewEncoder(os.Stdout)}
	s := grpc.NewServer(
		grpc.Creds(creds), grpc.UnaryInterceptor(recorder(lines)), grpc.StreamInterceptor(streamRecorder(lines)),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
	)
	machine.RegisterMachineServiceServer(s, server{})
	v1alpha1.RegisterStateServer(s, cosiserver.NewState(st))

	fmt.Println("{}")

	return s.Serve(listener)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
