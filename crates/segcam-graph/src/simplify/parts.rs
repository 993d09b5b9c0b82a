use burn::backend::Shape;
use burn::backend::ir::{
    ActivationOperationIr, BaseOperationIr, BinaryOpIr, DimOpIr, FloatOperationIr, MatmulOpIr,
    NumericOperationIr, OperationIr, ReduceDimOpIr, ScalarIr, ScalarOpIr, ShapeOpIr, TensorId,
    TensorIr, UnaryOpIr,
};

/// Operations that are put in the place of others.
pub(super) struct Parts {
    pub(super) operations: Vec<OperationIr>,
    fresh: u64,
}

impl Parts {
    /// `fresh` is the first id that no value has.
    pub(super) fn new(fresh: TensorId) -> Self {
        Self { operations: vec![], fresh: fresh.value() }
    }

    pub(super) fn value(&mut self, like: &TensorIr, shape: Shape) -> TensorIr {
        self.fresh += 1;
        TensorIr::uninit(TensorId::new(self.fresh - 1), shape, like.dtype)
    }

    pub(super) fn numeric(&mut self, out: &TensorIr, op: NumericOperationIr) {
        self.operations.push(OperationIr::NumericFloat(out.dtype, op));
    }

    pub(super) fn scaled(&mut self, lhs: TensorIr, by: f64) -> TensorIr {
        let out = self.value(&lhs, lhs.shape.clone());
        let op = ScalarOpIr { lhs, rhs: ScalarIr::Float(by), out: out.clone() };
        self.numeric(&out, NumericOperationIr::MulScalar(op));
        out
    }

    pub(super) fn mean(&mut self, input: TensorIr) -> TensorIr {
        let axis = input.shape.num_dims() - 1;
        let mut shape = input.shape.clone();
        let accumulator_len = std::mem::replace(&mut shape[axis], 1);
        let out = self.value(&input, shape);
        let op = ReduceDimOpIr { input, out: out.clone(), axis, accumulator_len };
        self.numeric(&out, NumericOperationIr::MeanDim(op));
        out
    }

    pub(super) fn binary(
        &mut self,
        lhs: &TensorIr,
        rhs: &TensorIr,
        out: Option<TensorIr>,
        op: fn(BinaryOpIr) -> NumericOperationIr,
    ) -> TensorIr {
        let out = out.unwrap_or_else(|| self.value(lhs, lhs.shape.clone()));
        let pair = BinaryOpIr { lhs: lhs.clone(), rhs: rhs.clone(), out: out.clone() };
        self.numeric(&out, op(pair));
        out
    }

    pub(super) fn softmax(&mut self, input: TensorIr, axis: usize, out: TensorIr) {
        let op = ActivationOperationIr::Softmax(DimOpIr { input, out, axis });
        self.operations.push(OperationIr::Activation(op));
    }

    pub(super) fn matmul(&mut self, lhs: TensorIr, rhs: TensorIr, out: TensorIr) {
        let op = FloatOperationIr::Matmul(MatmulOpIr { lhs, rhs, out: out.clone() });
        self.operations.push(OperationIr::Float(out.dtype, op));
    }

    pub(super) fn reshape(&mut self, input: &TensorIr, shape: Vec<usize>) -> TensorIr {
        let out = self.value(input, shape.into());
        let op = ShapeOpIr { input: input.clone(), out: out.clone() };
        self.operations.push(OperationIr::BaseFloat(BaseOperationIr::Reshape(op)));
        out
    }

    /// `√(variance + ε)`
    pub(super) fn deviation(&mut self, variance: TensorIr, epsilon: ScalarIr) -> TensorIr {
        let shifted = self.value(&variance, variance.shape.clone());
        let op = ScalarOpIr { lhs: variance, rhs: epsilon, out: shifted.clone() };
        self.numeric(&shifted, NumericOperationIr::AddScalar(op));
        let deviation = self.value(&shifted, shifted.shape.clone());
        let op = FloatOperationIr::Sqrt(UnaryOpIr { input: shifted, out: deviation.clone() });
        self.operations.push(OperationIr::Float(deviation.dtype, op));
        deviation
    }
}
