package main

import (
	"testing"

	"cellblock/test/mutation"
)

func TestEditsApply(t *testing.T) { mutation.CheckEdits(t, "../../..", mutants) }
