package export

import (
	"testing"

	"finetune/internal/learnertest"
)

func TestMain(m *testing.M) { learnertest.Main(m) }
