package local

import (
	"testing"

	"go.uber.org/goleak"

	"farm/engine"
	"farm/engine/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConnConformance(t *testing.T) {
	enginetest.TestConn(t, func(t *testing.T) engine.Conn { return New() })
}
