// Command csi-registrar tells the kubelet where a CSI driver listens: it serves the plugin
// registration API on a socket in the kubelet's plugins_registry and answers for the driver.
// It takes the place of node-driver-registrar, which is not published as a module.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

type answers struct{ name, endpoint string }

func (a answers) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type:              registration.CSIPlugin,
		Name:              a.name,
		Endpoint:          a.endpoint,
		SupportedVersions: []string{"1.0.0"}, // of the CSI specification
	}, nil
}

func (a answers) NotifyRegistrationStatus(
	_ context.Context, status *registration.RegistrationStatus,
) (*registration.RegistrationStatusResponse, error) {
	if !status.PluginRegistered {
		// Whoever supervises this starts it again, and the kubelet asks again.
		log.Fatalf("the kubelet refused %s: %s", a.name, status.Error)
	}
	log.Printf("the kubelet registered %s", a.name)
	return &registration.RegistrationStatusResponse{}, nil
}

func main() {
	log.SetFlags(log.Ltime)
	name := flag.String("name", "", "the driver's name, as in its CSIDriver object")
	endpoint := flag.String("endpoint", "", "path of the driver's socket")
	socket := flag.String("socket", "", "path of the socket to serve, in plugins_registry")
	flag.Parse()
	if err := os.Remove(*socket); err != nil && !os.IsNotExist(err) {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", *socket)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	registration.RegisterRegistrationServer(server, answers{*name, *endpoint})
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ended
		server.Stop() // closes and removes the socket, which unregisters the driver
	}()
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}
