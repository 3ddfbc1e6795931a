// Package mlog takes the place of monis.app/mlog, which the module proxy does not serve. It has the
// names that the CSI driver calls, and hands what is said to klog, as the original does in the end.
package mlog

import (
	"context"

	"k8s.io/klog/v2"
)

// LogFormat is how lines look; here always klog's own text.
type LogFormat string

// The formats that the driver asks for.
const (
	FormatText LogFormat = "text"
	FormatJSON LogFormat = "json"
)

// Setup returns what is to be called at the end of main.
func Setup() func() { return klog.Flush }

// ValidateAndSetKlogLevelAndFormatGlobally changes nothing: klog's flags have decided.
func ValidateAndSetKlogLevelAndFormatGlobally(context.Context, klog.Level, LogFormat) error {
	return nil
}

// Error logs err with a message.
func Error(message string, err error, keysAndValues ...any) {
	klog.ErrorSDepth(1, err, message, keysAndValues...)
}

// Fatal logs err and ends the program.
func Fatal(err error) {
	klog.FatalDepth(1, err)
}
