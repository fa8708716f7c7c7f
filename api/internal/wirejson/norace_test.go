//go:build !race

package wirejson

const raceDetector = false
