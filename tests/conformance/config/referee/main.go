// Copyright (c) 2026, k8s_cluster.manager contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The referee for machine configs: Talos' own library, asked in JSON lines.
//
// A request is {"config": text, "patches": [text, ...], "validate": mode or ""}; the answer {"text": ..., "error": ...,
// "warnings": [...], "invalid": ...}: the patched config, or why it was refused; what validation says of it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/configpatcher"
	"github.com/siderolabs/talos/pkg/machinery/config/validation"
)

type request struct {
	Config   string   `json:"config"`
	Patches  []string `json:"patches"`
	Validate string   `json:"validate"`
}

type answer struct {
	Text     string   `json:"text"`
	Error    string   `json:"error"`
	Warnings []string `json:"warnings"`
	Invalid  string   `json:"invalid"`
}

// mode is a platform as validation sees it.
type mode string

func (m mode) String() string        { return string(m) }
func (m mode) RequiresInstall() bool { return m == "metal" }
func (m mode) InContainer() bool     { return m == "container" }

func patched(ask request) (text string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()

	var patches []configpatcher.Patch

	for _, one := range ask.Patches {
		patch, err := configpatcher.LoadPatch([]byte(one))
		if err != nil {
			return "", err
		}

		patches = append(patches, patch)
	}

	result, err := configpatcher.Apply(configpatcher.WithBytes([]byte(ask.Config)), patches)
	if err != nil {
		return "", err
	}

	bytes, err := result.Bytes()

	return string(bytes), err
}

func validated(text, platform string) (warnings []string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()

	config, err := configloader.NewFromBytes([]byte(text))
	if err != nil {
		return nil, err
	}

	return config.Validate(mode(platform), validation.WithLocal()) // as `talosctl validate` does: no look at the hardware
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)

	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}

		var (
			ask   request
			reply answer
		)

		if err = json.Unmarshal(line, &ask); err == nil {
			reply.Text, err = patched(ask)
		}

		if err != nil {
			reply.Error = err.Error()
		} else if ask.Validate != "" {
			if reply.Warnings, err = validated(reply.Text, ask.Validate); err != nil {
				reply.Invalid = err.Error()
			}
		}

		if encoder.Encode(reply) != nil || out.Flush() != nil {
			return
		}
	}
}
